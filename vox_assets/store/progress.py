"""Log the progress of long steps: items done, rate and time left."""

from __future__ import annotations

import logging
import re
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vox_assets.terminal import duration

Log = Callable[[str], None]

_COUNT = re.compile(r".*: [\d,]+ of [\d,]+ .* left")
_STEP = re.compile(r"step \d+/")

# Short enough to show that a step runs, long enough to keep a run's log readable.
SECONDS_BETWEEN_LINES = 15.0


def is_step(line: str) -> bool:
    """Return whether a line is about one step of a training."""
    return _STEP.match(line) is not None


def is_progress(line: str) -> bool:
    """Return whether a line says how far the work is, which the next line replaces."""
    return is_step(line) or _COUNT.fullmatch(line) is not None


def silent(_line: str) -> None:
    """Discard a line: the log of callers that want none."""


def quiet_libraries() -> None:
    """Turn off the progress bars of the model libraries, and warnings that a user cannot act on.

    Call it before the libraries are imported: bitsandbytes warns of an optional package while it is
    imported. peft reads an attribute of models that transformers has deprecated.
    """
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
    from datasets.utils.logging import disable_progress_bar as disable_datasets
    from transformers.utils.logging import disable_progress_bar as disable_transformers

    disable_datasets()
    disable_transformers()


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
            log(f"{label}: {done:,} of {total:,} {unit}, {rate:,.1f}/s, {duration(left)} left")

    yield advance
    seconds = time.monotonic() - started
    if seconds >= 1.0:
        log(f"{label}: {done:,} {unit} in {duration(seconds)}")
