"""Rows from Markdown pages."""
