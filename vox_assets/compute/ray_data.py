"""Run batches on a Ray cluster, as a Ray Data pipeline.

This module connects to the cluster and configures Ray so that a build ends with the right result
when processes and nodes die. Batches are sent as bytes, so that no node needs a file of the driver.
A node loads a model from the path that the model has on the driver.
"""

from __future__ import annotations

import logging
import pickle
import platform
import socket
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from vox_assets.compute.batches import Batch, Result
from vox_assets.store.program import program

#: Seconds within which a cluster must accept a connection.
REACH_SECONDS = 10.0
#: Share of a processor that Ray reserves for a batch that waits for a server.
WAITING_CPUS = 0.1


class ClusterError(RuntimeError):
    """Raised if a cluster cannot be used or has lost work; the message is one line."""


@dataclass(frozen=True)
class RayData:
    """Runs batches on the cluster at `address`, `auto` or `host:port`; this machine is a node."""

    address: str
    spreads = True

    def map(
        self,
        function: Callable[[Batch], Result],
        batches: Iterable[Batch],
        *,
        model: bool = False,
        at_once: int | None = None,
    ) -> Generator[tuple[int, Result], None, None]:
        """Implement `Engine.map`. Raises ClusterError if the cluster cannot be reached."""
        rows = [
            {"index": index, "batch": pickle.dumps(batch, pickle.HIGHEST_PROTOCOL)}
            for index, batch in enumerate(batches)
        ]
        if not rows:
            return
        import ray.data

        self._connect()
        resources = ray.cluster_resources()
        # An autoscaling cluster may have no processor yet.
        processors, gpus = max(1, int(resources.get("CPU", 0))), int(resources.get("GPU", 0))
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        # When a node dies, every process on it may be starting: the function is not the cause.
        context.max_consecutive_actor_init_deaths = processors
        # One row per block: Ray assigns a block to a process and repeats it when the process dies.
        # Ray Data repeats without a limit. A batch that kills every process makes no progress; Ray
        # then gives up the whole pipeline after half an hour.
        table = ray.data.from_items(rows, override_num_blocks=len(rows))
        if model:
            first = min(gpus or processors, len(rows))
            done = table.map(
                _Worker,
                fn_constructor_args=(function, program()),
                compute=ray.data.ActorPoolStrategy(
                    min_size=1, max_size=len(rows), initial_size=first
                ),
                num_gpus=1 if gpus else None,
                num_cpus=None if gpus else 1,
            )
        else:
            done = table.map(
                _apply,
                fn_args=(function, program()),
                compute=ray.data.TaskPoolStrategy(size=at_once and min(at_once, len(rows))),
                num_cpus=WAITING_CPUS if at_once else 1,
            )
        awaited = set(range(len(rows)))
        with closing(iter(done.iter_rows())) as results:
            for row in results:
                result, error = pickle.loads(row["outcome"])
                if error is not None:
                    raise error
                awaited.remove(row["index"])
                yield row["index"], result
        if awaited:
            raise ClusterError(f"the cluster lost {len(awaited):,} of {len(rows):,} batches")

    def _connect(self) -> None:
        """Join the cluster, once per process."""
        import ray.data

        if ray.is_initialized():
            return
        # Ray Data also logs to the session's folder, and the stage reports progress.
        for handler in logging.getLogger(ray.data.__name__).handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setLevel(logging.ERROR)
        expected = "expected a running Ray cluster that this machine is part of"
        try:
            if self.address != "auto":
                _knock(self.address)
            ray.init(self.address, logging_level=logging.WARNING, log_to_driver=False)
        except Exception as error:
            detail = " ".join(str(error).split())[:200] or type(error).__name__
            raise ClusterError(
                f"RAY_ADDRESS: {self.address} cannot be reached ({detail}): {expected}"
            ) from error


def _knock(address: str) -> None:
    """Open and close a connection, because Ray waits for minutes if no server answers."""
    parts = urlsplit(f"//{address}")
    socket.create_connection((parts.hostname, parts.port), timeout=REACH_SECONDS).close()


@cache
def _own_program() -> str:
    """Digest this process's program once: later changes of its files do not affect it."""
    return program()


class _Worker:
    """Applies one function in a process of its own, so that a loaded model stays in memory."""

    def __init__(self, function: Callable[[Any], Any], expected: str) -> None:
        self._function = function
        self._expected = expected

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return _apply(row, self._function, self._expected)


def _apply(row: dict[str, Any], function: Callable[[Any], Any], expected: str) -> dict[str, Any]:
    # Return an error as a result: Ray would wrap it, and would retry after some errors.
    outcome: tuple[Any, Exception | None]
    try:
        if _own_program() != expected:
            # The cache would store its results under the keys of the driver's program.
            raise ClusterError(
                f"RAY_ADDRESS: the node {platform.node()} runs another version of vox-assets: "
                f"expected the driver's files on every node"
            )
        outcome = function(pickle.loads(row["batch"])), None
    except Exception as error:
        outcome = None, error
    return {"index": row["index"], "outcome": pickle.dumps(outcome, pickle.HIGHEST_PROTOCOL)}
