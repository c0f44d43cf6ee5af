"""Runs batches of work in this process or on a cluster.

A stage cuts its work into batches and maps a pure function over them. The batches decide a result
down to its last bit, the place where they run does not: a stage cuts them without asking.
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
        """The place of each batch, from 0, and what `function` makes of it, as soon as it is there.

        Every place comes once, in any order. Function, batches and results can be pickled; the
        function may run twice on a batch whose process died. `model` says that it loads a model,
        which then stays loaded, on a GPU where there is one. `at_once` is the most batches under
        way, for functions that wait for a server; elsewhere processors are the limit. What the
        function raises is raised here. To close the generator is to give up what is under way.
        """


class _Here:
    """This process, batch after batch."""

    spreads = False

    def map(
        self,
        function: Callable[[Batch], Result],
        batches: Iterable[Batch],
        *,
        model: bool = False,
        at_once: int | None = None,
    ) -> Generator[tuple[int, Result], None, None]:
        for place, batch in enumerate(batches):
            yield place, function(batch)


HERE = _Here()


def in_order(results: Iterable[tuple[int, Result]]) -> list[Result]:
    """Everything that `Engine.map` gave, in the order of the batches."""
    return [result for _, result in sorted(results, key=itemgetter(0))]
