"""Rows that a language model writes from live rows, and the check that their names exist."""
