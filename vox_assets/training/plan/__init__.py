"""What will be trained: the specification and the rank policy."""
