"""State of a training run: progress, interruption, checkpoints and the lock of its directory."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vox_assets.store.files import LockHeldError, exclusive
from vox_assets.training.plan.spec import (
    TrainingRefusedError,
    TrainingSpec,
)

#: Lines of progress that go to the orchestrator's log, at most one in as many seconds: it keeps
#: every line of every run.
SECONDS_BETWEEN_REPORTS = 10.0


#: Written last into a checkpoint: without it a kill came first, and the folder is not resumed.
CHECKPOINT_WHOLE = "whole.json"


@dataclass
class Progress:
    """State of early stopping and of the budget; saved with every checkpoint."""

    seconds: float = 0.0
    tokens: int = 0
    best_nll: float = math.inf
    best_step: int = 0
    looks_without_gain: int = 0
    first_nll: float = math.nan
    resumed_from: list[int] = field(default_factory=list)


class Interrupt:
    """Notices that this process should end: a signal, or the launcher that started it is gone.

    Dagster signals only its direct child, the launcher, which dies without telling this process.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self._parent = os.getppid()

    def listen(self) -> None:
        """Take SIGINT and SIGTERM as requests; both come here, for Dagster sends the former."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: Any) -> None:
        self.reason = signal.Signals(number).name

    @property
    def requested(self) -> bool:
        if self.reason is None and os.getppid() != self._parent:
            self.reason = "the launcher ended"
        return self.reason is not None


def best_dir(spec: TrainingSpec, step: int) -> Path:
    """The folder with the best weights so far."""
    return spec.work_dir / f"best-{step}"


def read_progress(path: Path) -> list[dict[str, Any]]:
    """Lines of a progress log; a line that a kill cut short is left out."""
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(text))
        except ValueError:
            continue
    return lines


def last_whole_checkpoint(spec: TrainingSpec) -> Path | None:
    """The newest checkpoint that was written to its end; half-written ones are removed."""
    folders = sorted((spec.work_dir / "checkpoints").glob("checkpoint-*"), key=step_of)
    whole = [folder for folder in folders if (folder / CHECKPOINT_WHOLE).exists()]
    for folder in folders:
        if folder not in whole and is_main():
            shutil.rmtree(folder)
    return whole[-1] if whole else None


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def is_main() -> bool:
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def sole_owner(spec: TrainingSpec) -> Iterator[None]:
    """Hold the digest's lock; the kernel lets go of it however this process ends."""
    if not is_main():
        yield
        return
    try:
        with exclusive(spec.work_dir / "lock", wait=False):
            yield
    except LockHeldError as error:
        raise TrainingRefusedError(f"digest {spec.digest} is being trained already") from error
