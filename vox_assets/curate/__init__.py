"""Curation of corpus rows: dedup, scoring, trimming, secrets and the ledger.

Functions of data frames. Reading sources and choosing the training mix belong elsewhere.
"""
