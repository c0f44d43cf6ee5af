"""Writes and verifies adapter directories: manifest, model card, Modelfile."""
