"""Lines fit the terminal, and progress rewrites itself there and is rare in a file."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest

from vox_assets.terminal import COLUMNS, Console, duration, hanging, table

LONG = "held-out loss 1.617 -> 0.940, ratio 0.581 [0.460, 0.702] over 45 rows of 12 sources " * 3


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_last_column_of_a_table_wraps_below_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    lines = table(["check", "rows", "summary"], [["beats_base", "1,024", LONG]], {1})
    assert lines[0] == "check        rows  summary"
    assert lines[1].startswith("beats_base  1,024  held-out loss")
    assert len(lines) > 3
    assert all(line.startswith(" " * 19) for line in lines[2:])
    assert max(map(len, lines)) <= COLUMNS
    assert " ".join(line[19:] for line in lines[1:]).split() == LONG.split()


def test_a_narrow_terminal_has_narrow_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, table(["name", "text"], [["a", LONG]]))) <= 60


def test_numbers_in_the_last_column_are_aligned_to_the_right() -> None:
    assert table(["cache", "size"], [["a", "9 MB"], ["b", "1,000 MB"]], {1}) == [
        "cache      size",
        "a          9 MB",
        "b      1,000 MB",
    ]


def test_a_word_that_is_longer_than_the_line_stays_whole() -> None:
    path = "/data/" + "folder/" * 30
    assert hanging("reports  ", path) == [f"reports  {path}"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (178, "2 min 58 s"), (7380, "2 h 03 min")],
)
def test_a_duration_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_state_is_rewritten_on_a_terminal_and_leaves_nothing_behind() -> None:
    stream = Terminal()
    console = Console(stream)
    console.state("embedding: 10 of 99 texts")
    console.state("embedding: 20")
    console.line("done")
    shown = screen(stream.getvalue())
    assert shown == ["done", ""]


def test_the_state_fits_on_one_line_of_a_terminal() -> None:
    stream = Terminal()
    Console(stream).state("word " * 100)
    assert "\n" not in stream.getvalue()
    assert len(stream.getvalue()) < COLUMNS


def screen(text: str) -> list[str]:
    """Return the lines that a terminal shows after this output."""
    lines: list[list[str]] = [[]]
    column = 0
    for character in text:
        if character == "\n":
            lines.append([])
            column = 0
        elif character == "\r":
            column = 0
        else:
            lines[-1][column : column + 1] = [character]
            column += 1
    return ["".join(line).rstrip() for line in lines]


def test_in_a_file_the_state_is_rare_and_lines_stay() -> None:
    stream, clock = io.StringIO(), Clock()
    console = Console(stream, clock)
    console.line("start")
    for second in range(100):
        clock.now = float(second)
        console.state(f"embedding: {second} of 100 texts")
    console.line("end")
    assert stream.getvalue().splitlines() == [
        "start",
        "embedding: 30 of 100 texts",
        "embedding: 60 of 100 texts",
        "embedding: 90 of 100 texts",
        "end",
    ]


ALONE = """
import os, subprocess, sys
from vox_assets.terminal import alone
with alone() as stream:
    print("library")
    print("library", file=sys.stderr)
    os.write(2, b"library")
    subprocess.run(["echo", "library"])
    print("ours", file=stream)
print("after")
print("after", file=sys.stderr)
"""


def test_only_our_own_lines_reach_the_terminal_during_a_build() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALONE], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stderr == "ours\nafter\n"
    assert done.stdout == "after\n"
