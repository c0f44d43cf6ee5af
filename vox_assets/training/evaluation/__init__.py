"""Base against adapter: losses, answers, statistics, verdicts and ablation arms."""
