"""Log the progress of long steps: items done, rate and time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Log = Callable[[str], None]

# Short enough to show that a step runs, long enough to keep a run's log readable.
SECONDS_BETWEEN_LINES = 15.0


def silent(_line: str) -> None:
    """Discard a line: the log of callers that want none."""


def quiet_libraries() -> None:
    """Turn off the progress bars of the model libraries."""
    from datasets.utils.logging import disable_progress_bar
    from transformers.utils import logging

    disable_progress_bar()
    logging.disable_progress_bar()


@contextmanager
def progress(label: str, total: int, unit: str, log: Log) -> Iterator[Callable[[int], None]]:
    """Yield a function that counts the items just done and logs a line every few seconds."""
    started = time.monotonic()
    last_line = started
    done = 0

    def advance(count: int) -> None:
        nonlocal done, last_line
        done += count
        now = time.monotonic()
        if now - last_line >= SECONDS_BETWEEN_LINES:
            last_line = now
            rate = done / (now - started)
            left = (total - done) / rate if rate else 0.0
            log(f"{label}: {done:,} of {total:,} {unit}, {rate:,.1f}/s, {left:,.0f} s left")

    yield advance
    seconds = time.monotonic() - started
    if seconds >= 1.0:
        log(f"{label}: {done:,} {unit} in {seconds:,.1f} s")
