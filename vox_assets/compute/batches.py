"""Run batches of work in this process or on a cluster.

A stage cuts its work into batches and maps a pure function over them. Down to the last bit, a
result may depend on the batches, but not on the machine that runs a batch. A stage therefore cuts
its batches without knowing the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from operator import itemgetter
from typing import Protocol, TypeVar

Batch = TypeVar("Batch")
Result = TypeVar("Result")


class Engine(Protocol):
    """Maps functions over batches."""

    @property
    def spreads(self) -> bool:
        """True if batches run in parallel; then many small batches pay off."""

    def map(
        self,
        function: Callable[[Batch], Result],
        batches: Iterable[Batch],
        *,
        model: bool = False,
        at_once: int | None = None,
    ) -> Generator[tuple[int, Result], None, None]:
        """Yield the index of each batch, from 0, with its result, as soon as it is computed.

        Every index is yielded once, in any order. Function, batches and results can be pickled; the
        function may run twice on a batch whose process died. `model` means that the function loads
        a model, which then stays loaded, on a GPU if there is one. `at_once` is the maximum number
        of batches in progress, for functions that wait for a server; otherwise the number of
        processors is the limit. An exception of the function is raised here. Closing the generator
        cancels the batches in progress.
        """


class _Here:
    """Runs batches in this process, one after another."""

    spreads = False

    def map(
        self,
        function: Callable[[Batch], Result],
        batches: Iterable[Batch],
        *,
        model: bool = False,
        at_once: int | None = None,
    ) -> Generator[tuple[int, Result], None, None]:
        for index, batch in enumerate(batches):
            yield index, function(batch)


HERE = _Here()


def in_order(results: Iterable[tuple[int, Result]]) -> list[Result]:
    """Sort the results of `Engine.map` by the index of their batches."""
    return [result for _, result in sorted(results, key=itemgetter(0))]
