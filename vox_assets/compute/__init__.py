"""Run batches, resolve models, tokenise dialogues, and compute negative log-likelihoods."""
