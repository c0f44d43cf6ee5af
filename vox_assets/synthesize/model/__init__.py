"""Rows that a language model writes from live rows, and the check that they are grounded."""
