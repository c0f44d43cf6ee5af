"""All tasks about a live program, from every maker in a fixed order."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence

from vox_assets.synthesize.vox.lexicon import Domain
from vox_assets.synthesize.vox.live_tasks.complete import completions
from vox_assets.synthesize.vox.live_tasks.extend import extensions
from vox_assets.synthesize.vox.live_tasks.rename import renames
from vox_assets.synthesize.vox.live_tasks.task import Live, Task
from vox_assets.synthesize.vox.live_tasks.tests import existing_tests, written_tests


def tasks(live: Live, domains: Sequence[Domain], rng: random.Random) -> Iterator[Task]:
    """Yield every task about the program."""
    for maker in _MAKERS:
        yield from maker(live, domains, rng)


_MAKERS: tuple[Callable[[Live, Sequence[Domain], random.Random], Iterable[Task]], ...] = (
    renames,
    completions,
    existing_tests,
    written_tests,
    extensions,
)
