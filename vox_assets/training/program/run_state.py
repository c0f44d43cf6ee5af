"""Keeps the state of a training run: progress, interruption, checkpoints, lock of its folder."""

from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vox_assets.store.files import LockHeldError, exclusive
from vox_assets.training.plan.spec import TrainingRefusedError, TrainingSpec

if TYPE_CHECKING:
    from vox_assets.training.program.ranks import Ranks

#: Minimum interval between step lines in Dagster's log, which keeps every line of every run.
SECONDS_BETWEEN_REPORTS = 10.0

#: File with the progress; a checkpoint without it is incomplete and is not resumed.
CHECKPOINT_WHOLE = "whole.json"


@dataclass
class Progress:
    """State of early stopping and of the budget; every checkpoint contains it as JSON."""

    seconds: float = 0.0
    tokens: int = 0
    best_nll: float = math.inf
    best_step: int = 0
    #: Step of the last evaluation.
    evaluated_step: int = -1
    #: Number of evaluations since the best one.
    looks_without_gain: int = 0
    first_nll: float = math.nan
    resumed_from: list[int] = field(default_factory=list)


class Interrupt:
    """Detects that this process should end: a signal arrived or its launcher has ended.

    Dagster sends a signal only to its direct child, the launcher, which ends without forwarding it.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self._parent = os.getppid()

    def listen(self) -> None:
        """Handle SIGINT, which Dagster sends, and SIGTERM as requests to end."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: Any) -> None:
        self.reason = signal.Signals(number).name

    @property
    def requested(self) -> bool:
        """True if the process should end; `reason` then says why."""
        if self.reason is None and os.getppid() != self._parent:
            self.reason = "the launcher ended"
        return self.reason is not None


def best_dir(spec: TrainingSpec, step: int) -> Path:
    """Return the folder for the weights of `step`, the best so far."""
    return spec.work_dir / f"best-{step}"


def read_progress(path: Path) -> list[dict[str, Any]]:
    """Read the lines of a progress log; skip a line that a kill cut short."""
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    return lines


def checkpoint_dir(spec: TrainingSpec, step: int) -> Path:
    """Return the folder of the checkpoint after `step`."""
    return spec.work_dir / "checkpoints" / f"checkpoint-{step}"


def checkpoints(spec: TrainingSpec) -> list[Path]:
    """Return the complete checkpoints by step, the newest last."""
    folders = sorted((spec.work_dir / "checkpoints").glob("checkpoint-*"), key=step_of)
    return [folder for folder in folders if (folder / CHECKPOINT_WHOLE).exists()]


def step_of(checkpoint: Path) -> int:
    """Parse the step in the name of a checkpoint folder."""
    return int(checkpoint.name.rpartition("-")[2])


def is_main() -> bool:
    """True in the process of rank 0."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def sole_owner(spec: TrainingSpec, ranks: Ranks) -> Iterator[None]:
    """Hold the lock of the digest on rank 0; the kernel releases it however this process ends.

    Raises TrainingRefusedError on every rank if another process holds it.
    """
    with ExitStack() as held:
        refused = False
        if ranks.main:
            try:
                held.enter_context(exclusive(spec.work_dir / "lock", wait=False))
            except LockHeldError:
                refused = True
        if ranks.any(refused):
            raise TrainingRefusedError(f"digest {spec.digest} is being trained already")
        yield
