"""Times two sides alternately by processor time, and compares the medians.

The time is the processor time of all threads instead of wall-clock time: on a shared machine, other
work can lengthen a wait by any factor, but slows a computation only by lost caches. Waits for a
disk or another process are not measured; no benchmark waits for long. Training is the exception: it
uses wall-clock time, because both sides time their steps and leave out the start.
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

# Three is the smallest number of runs at which one disturbed run cannot decide the median.
# Processes run for seconds, and other processes that start and stop disturb them more.
RUNS = 3
PROCESS_RUNS = 5

OurResult = TypeVar("OurResult")
TheirResult = TypeVar("TheirResult")


@dataclass(frozen=True)
class Result:
    """Median seconds of both sides over `n` runs each, and their ratio, ours over the reference.

    A lower ratio is better; it meets the target if it is at most `target`.
    """

    name: str
    ours_s: float
    reference: str
    reference_s: float
    ratio: float
    target: float
    n: int

    @property
    def meets_target(self) -> bool:
        return self.ratio <= self.target


def compare_medians(
    name: str, ours: list[float], reference: str, theirs: list[float], target: float
) -> Result:
    """Return the result of equally many runs of both sides."""
    our_s, their_s = statistics.median(ours), statistics.median(theirs)
    ratio = round(our_s / their_s, 2 if our_s > their_s / 10 else 3)
    return Result(name, round(our_s, 3), reference, round(their_s, 3), ratio, target, len(ours))


def alternate_calls(
    ours: Callable[[], OurResult], theirs: Callable[[], TheirResult], warm_up: bool = True
) -> tuple[list[float], list[float], OurResult, TheirResult]:
    """Run both sides alternately in this process; return their processor seconds and last results.

    `warm_up` runs each side once without timing it, so that the times exclude one-time loading and
    compilation.
    """
    if warm_up:
        ours(), theirs()
    our_times, their_times = [], []
    for _ in range(RUNS):
        seconds, our_result = _timed(ours)
        our_times.append(seconds)
        seconds, their_result = _timed(theirs)
        their_times.append(seconds)
    return our_times, their_times, our_result, their_result


def _timed(work: Callable[[], OurResult]) -> tuple[float, OurResult]:
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def alternate_processes(ours: list[str], theirs: list[str]) -> tuple[list[float], list[float]]:
    """Run two programs alternately after a warm-up; return their processor seconds."""
    _run_process(ours), _run_process(theirs)
    pairs = [(_run_process(ours), _run_process(theirs)) for _ in range(PROCESS_RUNS)]
    return [our_s for our_s, _ in pairs], [their_s for _, their_s in pairs]


def _run_process(command: list[str]) -> float:
    # Both sides use bytecode files, as an installed program does.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def machine() -> dict[str, str | int | None]:
    """Describe the machine of the measurement."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    """Return the processor's name, or its architecture if the system gives no name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
