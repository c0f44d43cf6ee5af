"""Progress lines and metadata that the training program sends to its caller."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable
from typing import Any

from vox_assets.store.progress import quiet_libraries
from vox_assets.training.program.run_state import SECONDS_BETWEEN_REPORTS, is_main

Say = Callable[[str], None]


_STEP_LINE = re.compile(r"step \d+/")


class Reports:
    """Reports to Dagster, on rank 0 of a run that Dagster launched; otherwise does nothing.

    A cancelled orchestrator takes its channel away at once, while this program still has a
    checkpoint to write: a channel that is gone is not a fault.
    """

    def __init__(self) -> None:
        self._channel: Any = None
        self._last = -math.inf

    def open(self) -> None:
        if is_main() and "DAGSTER_PIPES_CONTEXT" in os.environ:
            from dagster_pipes import open_dagster_pipes

            self._channel = open_dagster_pipes()

    @property
    def connected(self) -> bool:
        """Whether lines reach Dagster, which writes them to the run's log and to its console."""
        return self._channel is not None

    def progress(self, line: str) -> None:
        """A line for the run's log; lines of single steps only now and then."""
        now = time.monotonic()
        if _STEP_LINE.match(line) and now - self._last < SECONDS_BETWEEN_REPORTS:
            return
        self._last = now
        self._tell(lambda channel: channel.log.info(line))

    def refusal(self, line: str) -> None:
        self._tell(lambda channel: channel.log.error(line))

    def finished(self, facts: dict[str, Any], digest: str) -> None:
        reported = {key: value for key, value in facts.items() if value is not None}
        self._tell(
            lambda channel: channel.report_asset_materialization(
                metadata=reported, data_version=digest
            )
        )

    def close(self) -> None:
        self._tell(lambda channel: channel.close())

    def _tell(self, message: Callable[[Any], None]) -> None:
        if self._channel is None:
            return
        try:
            message(self._channel)
        except OSError:
            self._channel = None


def quiet_trainer() -> None:
    """Leave the log to progress lines: no bars, no notes of libraries about themselves."""
    import warnings

    quiet_libraries()
    warnings.filterwarnings("ignore", category=FutureWarning)
