"""Datasets, training files, reports and plots for people and trainers."""
