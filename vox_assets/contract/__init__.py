"""What every package agrees on: rows, drops, verdicts, and what counts as code in an answer."""
