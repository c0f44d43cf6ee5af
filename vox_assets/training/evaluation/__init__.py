"""Compares an adapter with its base model: losses, answers, statistics, verdicts, ablation arms."""
