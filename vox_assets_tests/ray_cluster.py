"""A real Ray cluster of several nodes on this machine, which can lose one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NODES = 3
#: Less than one node's default by far: what does not fit spills, as it would on a full cluster.
STORE_BYTES = 80 * 2**20


class Nodes:
    """A head, which the driver is on, and workers of one processor each."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        head = {"object_store_memory": STORE_BYTES, "num_cpus": 1, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._workers: list[Any] = []
        self.mend()

    @property
    def address(self) -> str:
        return self._cluster.address

    def kill_one(self) -> None:
        """Take a node away with every process on it, without a warning."""
        self._cluster.remove_node(self._workers.pop(), allow_graceful=False)

    def mend(self) -> None:
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
    """A cluster for the block, which tells nobody that it is there."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    nodes = Nodes()
    try:
        yield nodes
    finally:
        nodes.end()
