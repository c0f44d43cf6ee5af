"""Definitions that every package shares: rows, drops, verdicts, and code in answers."""
