"""Plans a training run: its specification, its rank and the checks of its rows."""
