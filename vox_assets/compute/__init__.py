"""Where heavy steps run: batches, local models, tokens, and the negative log-likelihood kernel."""
