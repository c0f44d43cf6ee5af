"""Trains, evaluates and promotes an adapter.

No module here imports Dagster. Importing the package loads no machine-learning library.
"""
