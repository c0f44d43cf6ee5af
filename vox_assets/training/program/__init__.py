"""Trains one adapter in a separate process."""
