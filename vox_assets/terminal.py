"""Writes to a terminal or a file: tables that wrap, durations, and progress that rewrites itself.

Text for people only; what other programs read is JSON.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

#: Longest line. Longer lines are hard to read, and narrower terminals wrap them.
COLUMNS = 100
#: Seconds between two lines of progress in a file, which cannot be rewritten.
SECONDS_BETWEEN_LINES = 30.0
_GAP = "  "


def width() -> int:
    """Return the width to print: that of the terminal, at most COLUMNS."""
    return min(COLUMNS, shutil.get_terminal_size((COLUMNS, 24)).columns)


def duration(seconds: float) -> str:
    """Write a duration in its two largest units."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], numbers: Collection[int] = ()
) -> list[str]:
    """Return the lines of a table whose last column wraps within the width of the terminal.

    The columns in `numbers` are aligned to the right.
    """
    cells = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header) - 1)]
    indent = sum(widths) + len(_GAP) * len(widths)
    if len(header) - 1 in numbers:
        widest = max(len(row[-1]) for row in cells)
        for row in cells:
            row[-1] = f"{row[-1]:>{widest}}"
    lines = []
    for row in cells:
        start = "".join(
            (f"{cell:>{size}}" if column in numbers else f"{cell:<{size}}") + _GAP
            for column, (cell, size) in enumerate(zip(row, widths, strict=False))
        )
        lines += hanging(start, row[-1], indent)
    return lines


def hanging(start: str, text: str, indent: int | None = None) -> list[str]:
    """Return the lines of `start` and a text that wraps below its own first word."""
    indent = len(start) if indent is None else indent
    # A narrow terminal wraps by itself; columns of a few characters would be harder to read.
    room = max(width() - indent, 24)
    parts = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]
    return [
        line.rstrip() for line in (start + parts[0], *(" " * indent + part for part in parts[1:]))
    ]


class Console:
    """Prints lines, and the state of the work below them.

    On a terminal the state is one line that is rewritten. In a file it is printed rarely.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._rewrites = stream.isatty()
        self._shown = ""
        self._last = clock()
        # The lines of a training arrive on a thread of their own.
        self._lock = threading.Lock()

    def line(self, text: str) -> None:
        """Print a line that stays."""
        with self._lock:
            self._erase()
            self._write(text + "\n")
            self._last = self._clock()

    def state(self, text: str) -> None:
        """Show what is being done."""
        with self._lock:
            if self._rewrites:
                self._erase()
                self._shown = textwrap.shorten(text, width() - 1, placeholder=" ...")
                self._write(self._shown)
            elif self._clock() - self._last >= SECONDS_BETWEEN_LINES:
                self._write(text + "\n")
                self._last = self._clock()

    def clear(self) -> None:
        """Remove the state from a terminal."""
        with self._lock:
            self._erase()

    def _erase(self) -> None:
        if self._shown:
            self._write("\r" + " " * len(self._shown) + "\r")
            self._shown = ""

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


@contextmanager
def alone() -> Iterator[TextIO]:
    """Yield a stream to standard error, and discard what else this process and its children print.

    Libraries warn on their own streams about what needs no action, and start programs that do.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    # Tests replace the stream by one that has no descriptor.
    is_descriptor = sys.stderr is sys.__stderr__
    stream = (
        os.fdopen(os.dup(2), "w", encoding=sys.stderr.encoding, errors="backslashreplace")
        if is_descriptor
        else sys.stderr
    )
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        yield stream
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, copy in enumerate(kept, 1):
            os.dup2(copy, descriptor)
            os.close(copy)
        os.close(nowhere)
        if is_descriptor:
            stream.close()
