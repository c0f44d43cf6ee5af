"""One copy of each row, scored honestly: pure functions of frames.

Similarity and dedup, features and scoring, trimming, secrets and the ledger. Reading sources and
choosing what is trained belong elsewhere.
"""
