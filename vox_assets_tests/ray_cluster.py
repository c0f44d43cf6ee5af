"""Starts a real Ray cluster of several nodes on this machine, and can kill nodes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NODES = 3
#: Far less than Ray's default, so that objects spill to disk as on a full cluster.
STORE_BYTES = 80 * 2**20


class Nodes:
    """A head node, which runs the driver, and worker nodes, each with one processor."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        head = {"object_store_memory": STORE_BYTES, "num_cpus": 1, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._workers: list[Any] = []
        self.restore()

    @property
    def address(self) -> str:
        return self._cluster.address

    def kill_one(self) -> None:
        """Kill a worker node and all its processes, without a graceful shutdown."""
        self._cluster.remove_node(self._workers.pop(), allow_graceful=False)

    def restore(self) -> None:
        """Bring the cluster back to its full size."""
        while len(self._workers) < NODES - 1:
            node = self._cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
            self._workers.append(node)
        self._cluster.wait_for_nodes()

    def end(self) -> None:
        import ray

        ray.shutdown()
        self._cluster.shutdown()


@contextmanager
def cluster() -> Iterator[Nodes]:
    """Run a cluster until the block ends, without Ray's usage statistics."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    nodes = Nodes()
    try:
        yield nodes
    finally:
        nodes.end()
