"""Rows from Rust source files."""
