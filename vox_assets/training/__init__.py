"""The adapter: the training plan, the training program, its evaluation and its promotion.

Nothing here imports Dagster, and importing this package loads no machine-learning library.
"""
