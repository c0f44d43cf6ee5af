"""Batches on a Ray cluster, as a Ray Data pipeline.

What belongs here: reaching the cluster, and what Ray needs to know so that a build ends, and ends
right, when processes and nodes die. Batches travel as bytes, so that no node needs a file of the
driver; models are read where they are used, from the path that they have on the driver.
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

#: Seconds within which a cluster takes a connection, or is not there.
REACH_SECONDS = 10.0
#: What a batch takes of a processor while it waits for a server.
WAITING_CPUS = 0.1


class ClusterError(RuntimeError):
    """A cluster that cannot be used, or that lost work; the message is one line."""


@dataclass(frozen=True)
class RayData:
    """The cluster at `address`, `auto` or `host:port`, of which this machine is part."""

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
        """As `Engine.map` has it. Raises ClusterError when the cluster is not there."""
        rows = [
            {"place": place, "batch": pickle.dumps(batch, pickle.HIGHEST_PROTOCOL)}
            for place, batch in enumerate(batches)
        ]
        if not rows:
            return
        import ray.data

        self._connect()
        has = ray.cluster_resources()
        # A cluster that grows with its work may have none yet.
        processors, cards = max(1, int(has.get("CPU", 0))), int(has.get("GPU", 0))
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        # Each process of a node that dies may be starting: such a death is none of the function's.
        context.max_consecutive_actor_init_deaths = processors
        # One row to a block: a block is what is handed out, and done again when its process dies.
        # Ray Data tries that without end; a batch that kills every process that it meets makes no
        # progress, for which the whole is given up after half an hour.
        table = ray.data.from_items(rows, override_num_blocks=len(rows))
        if model:
            first = min(cards or processors, len(rows))
            done = table.map(
                _Worker,
                fn_constructor_args=(function, program()),
                compute=ray.data.ActorPoolStrategy(
                    min_size=1, max_size=len(rows), initial_size=first
                ),
                num_gpus=1 if cards else None,
                num_cpus=None if cards else 1,
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
                awaited.remove(row["place"])
                yield row["place"], result
        if awaited:
            raise ClusterError(f"the cluster lost {len(awaited):,} of {len(rows):,} batches")

    def _connect(self) -> None:
        """Join the cluster, once in the life of this process."""
        import ray.data

        if ray.is_initialized():
            return
        # Ray Data logs to the session's folder; the stage itself reports progress.
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
    """Open and close a connection, because Ray waits for minutes when no server answers."""
    parts = urlsplit(f"//{address}")
    socket.create_connection((parts.hostname, parts.port), timeout=REACH_SECONDS).close()


@cache
def _own_program() -> str:
    """The program of this process, whatever is written over its files since."""
    return program()


class _Worker:
    """A process that applies one function, which may keep a model."""

    def __init__(self, function: Callable[[Any], Any], expected: str) -> None:
        self._function = function
        self._expected = expected

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return _apply(row, self._function, self._expected)


def _apply(row: dict[str, Any], function: Callable[[Any], Any], expected: str) -> dict[str, Any]:
    # An error is a result: Ray would wrap it, and take some for a reason to try again.
    outcome: tuple[Any, Exception | None]
    try:
        if _own_program() != expected:
            # Its results would be stored as those of the driver's program.
            raise ClusterError(
                f"RAY_ADDRESS: the node {platform.node()} runs another version of vox-assets: "
                f"expected the driver's files on every node"
            )
        outcome = function(pickle.loads(row["batch"])), None
    except Exception as error:
        outcome = None, error
    return {"place": row["place"], "outcome": pickle.dumps(outcome, pickle.HIGHEST_PROTOCOL)}
