"""Selects the rows that are trained and held out, and checks the selection with gates."""
