"""Batches of heavy work, local models, tokens, and the negative log-likelihood kernel."""
