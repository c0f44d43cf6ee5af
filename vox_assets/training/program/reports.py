"""Sends progress lines and metadata from the training program to Dagster."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from typing import Any

from vox_assets.store.progress import is_step, quiet_libraries
from vox_assets.training.program.run_state import SECONDS_BETWEEN_REPORTS, is_main

#: Callback that receives progress lines.
Log = Callable[[str], None]


class Reports:
    """Reports to Dagster from rank 0 of a run that Dagster launched; otherwise does nothing.

    When Dagster cancels a run, it closes the channel immediately, while this program still has to
    write a checkpoint. Errors of a closed channel are therefore ignored.
    """

    def __init__(self) -> None:
        self._channel: Any = None
        self._last = -math.inf

    def open(self) -> None:
        """Open the channel to Dagster, if there is one."""
        if is_main() and "DAGSTER_PIPES_CONTEXT" in os.environ:
            from dagster_pipes import open_dagster_pipes

            self._channel = open_dagster_pipes()

    @property
    def connected(self) -> bool:
        """True if Dagster receives the lines; it writes them to the run's log and its console."""
        return self._channel is not None

    def progress(self, line: str) -> None:
        """Log a line; of the lines about single steps, one per SECONDS_BETWEEN_REPORTS."""
        now = time.monotonic()
        if is_step(line) and now - self._last < SECONDS_BETWEEN_REPORTS:
            return
        self._last = now
        self._send(lambda channel: channel.log.info(line))

    def refusal(self, line: str) -> None:
        """Log an error."""
        self._send(lambda channel: channel.log.error(line))

    def finished(self, facts: dict[str, Any], digest: str) -> None:
        """Report the materialization of the adapter, with `facts` as metadata."""
        metadata = {key: value for key, value in facts.items() if value is not None}
        self._send(
            lambda channel: channel.report_asset_materialization(
                metadata=metadata, data_version=digest
            )
        )

    def close(self) -> None:
        """Close the channel."""
        self._send(lambda channel: channel.close())

    def _send(self, message: Callable[[Any], None]) -> None:
        if self._channel is None:
            return
        try:
            message(self._channel)
        except OSError:
            self._channel = None


def quiet_trainer() -> None:
    """Silence progress bars and warnings of libraries, so that the log has only progress lines."""
    import warnings

    quiet_libraries()
    warnings.filterwarnings("ignore", category=FutureWarning)
