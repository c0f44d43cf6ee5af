"""The plan of a training run: the specification and the rank policy."""
