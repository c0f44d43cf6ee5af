"""From scored rows to a proven adapter: mix, rank policy, training program, evaluation, hand-off.

Nothing here imports Dagster, and importing this package loads no machine-learning library.
"""
