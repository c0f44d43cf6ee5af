"""Writes datasets and training files for other trainers, and reports and plots for people."""
