"""How two sides are timed: in turn, by processor time, and compared by their medians.

Processor time of all threads, and not the clock on the wall: what else runs on a shared machine
lengthens a wait by any factor, but a computation only by the caches that it loses. Where a side
waits (for a disk, for another process), that wait is not measured; nothing here waits for long.
Training alone goes by the clock: its speed leaves out the start, and both sides time their steps.
"""

from __future__ import annotations

import os
import platform
import resource
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

# The median of three is the least that one disturbed run cannot decide. Programs take seconds, and
# what starts and stops beside them a part of each.
RUNS = 3
PROCESS_RUNS = 5

Mine = TypeVar("Mine")
Theirs = TypeVar("Theirs")


@dataclass(frozen=True)
class Result:
    """Median seconds of both sides over `n` runs each; the ratio, ours over the reference, is
    lower-is-better and holds up to `target`."""

    name: str
    ours_s: float
    reference: str
    reference_s: float
    ratio: float
    target: float
    n: int

    @property
    def holds(self) -> bool:
        return self.ratio <= self.target


def compared(
    name: str, ours: list[float], reference: str, theirs: list[float], target: float
) -> Result:
    """The result of as many runs of both sides."""
    mine, other = statistics.median(ours), statistics.median(theirs)
    ratio = round(mine / other, 2 if mine > other / 10 else 3)
    return Result(name, round(mine, 3), reference, round(other, 3), ratio, target, len(ours))


def in_turn(
    ours: Callable[[], Mine], theirs: Callable[[], Theirs], warm_up: bool = True
) -> tuple[list[float], list[float], Mine, Theirs]:
    """Processor seconds of both sides, run in turn in this process, and what they last gave.

    `warm_up` runs each once uncounted, so that neither pays for what is loaded or compiled once.
    """
    if warm_up:
        ours(), theirs()
    mine, others = [], []
    for _ in range(RUNS):
        spent, my_answer = _timed(ours)
        mine.append(spent)
        spent, their_answer = _timed(theirs)
        others.append(spent)
    return mine, others, my_answer, their_answer


def _timed(work: Callable[[], Mine]) -> tuple[float, Mine]:
    started = time.process_time()
    answer = work()
    return time.process_time() - started, answer


def processes(ours: list[str], theirs: list[str]) -> tuple[list[float], list[float]]:
    """Processor seconds of two programs, run in turn after one uncounted run of each."""
    _process(ours), _process(theirs)
    pairs = [(_process(ours), _process(theirs)) for _ in range(PROCESS_RUNS)]
    return [mine for mine, _ in pairs], [other for _, other in pairs]


def _process(command: list[str]) -> float:
    # Both sides run from bytecode, as an installed program does.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def machine() -> dict[str, str | int | None]:
    """What the figures were taken on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    """The processor's name as the system gives it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
