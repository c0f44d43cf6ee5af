"""Rows from live Vox: programs of the documentation, renamed, cut, extended and tested.

Every row names its parents and uses their current text, so these rows follow the language without
a change of templates. This module selects the live programs and the tasks that become rows;
`live_tasks` makes the tasks about a program.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from vox_assets.contract.rows import Drop, Pair, Reason, turns
from vox_assets.extract.docs.mdbook import IncludeError, Includes
from vox_assets.profiles import Profile
from vox_assets.synthesize.shared import STAGE
from vox_assets.synthesize.vox.lexicon import Domain
from vox_assets.synthesize.vox.live_tasks.makers import tasks
from vox_assets.synthesize.vox.live_tasks.task import Live, Task
from vox_assets.synthesize.vox.programs import NEAR_PROGRAM, Gate, Pool, difficulty
from vox_assets.synthesize.vox.templates import tidy
from vox_assets.vox_syntax import VoxSyntaxError, constructs, declarations

#: Live programs are few and their derived rows resemble them, so most rows come from templates.
LIVE_SHARE = 1 / 3
DIFFICULTY_LEVEL = 2

#: Reads a file by its path below the source root; raises IncludeError when it cannot.
Reader = Callable[[str], str]

_COMMENT = re.compile(r"^\s*(?://|#)[^\n]*\n?|[ \t]+//[^\n]*", re.MULTILINE)


def programs(doc_rows: pl.DataFrame, read_source: Reader, profile: Profile) -> Iterator[Live]:
    """Yield the Vox programs of the documentation, without comments, in the order of their rows.

    A fence that includes part of a file yields the whole file; its parents are all rows that show
    a part of it.
    """
    vox = doc_rows.filter((pl.col("language") == "vox") & (pl.col("response_mode") == "code_only"))
    shown_by: dict[str, list[Mapping[str, Any]]] = {}
    for row in vox.iter_rows(named=True):
        whole = [live_program(text) for text in _included(row, read_source, profile)]
        for source in whole if whole and None not in whole else [live_program(row["response"])]:
            if source:
                shown_by.setdefault(source, []).append(row)
    for source, rows in shown_by.items():
        parents = tuple(row["pair_id"] for row in rows)
        yield Live.of(rows[0], parents, source)


def _included(row: Mapping[str, Any], read_source: Reader, profile: Profile) -> list[str]:
    """Read the Vox files that the row's fence includes, from the repository of its page."""
    included: list[str] = []
    _, page_path = profile.locate(row["source_path"])
    home = row["source_path"].removesuffix(page_path)

    def reader(path: str) -> str:
        text = read_source(home + path)
        if path.endswith(".vox"):
            included.append(text)
        return text

    try:
        page = read_source(row["source_path"]).split("\n")
    except IncludeError:
        return []
    fence = page[row["source_start_line"] - 1 : row["source_end_line"]]
    Includes(page_path, reader).expand("\n".join(fence))
    return included


def live_program(text: str) -> str | None:
    """Return the program without comments, or None when it does not parse or declares nothing."""
    source = tidy(_COMMENT.sub("", text))
    try:
        return source if declarations(source) else None
    except VoxSyntaxError:
        return None  # Extraction reports what the gate refuses.


def expand_live_code(
    doc_rows: pl.DataFrame,
    domains: Sequence[Domain],
    profile: Profile,
    pool: Pool,
    check_vox: Gate,
    budget: int,
    read_source: Reader,
) -> tuple[list[Pair], list[Drop]]:
    """Make rows from live programs in turn, up to their share of `budget`."""
    seed = profile.synthesis.seed
    queues = []
    for live in programs(doc_rows, read_source, profile):
        rng = random.Random(f"{seed}:live:{live.row['pair_id']}")
        offered = list(tasks(live, domains, rng))
        rng.shuffle(offered)
        queues.append((live, offered))
    pairs: list[Pair] = []
    drops: list[Drop] = []
    limit = int(budget * LIVE_SHARE)
    rng = random.Random(f"{seed}:live")
    for live, task in _in_turns(queues):
        if len(pairs) >= limit:
            break
        reason = _refusal(task, pool, check_vox)
        if reason:
            drops.append(_drop(live, task, reason))
            continue
        pool.programs.add(_symbol(live, task), task.answer)
        prompts = [task.prompt(lead) for lead in rng.sample(task.leads, k=len(task.leads))]
        prompt = pool.least_alike(f"live/{task.family}", prompts)
        pairs.append(_pair(live, task, prompt, profile))
    return pairs, drops


def _in_turns(queues: Sequence[tuple[Live, Sequence[Task]]]) -> Iterator[tuple[Live, Task]]:
    for lap in range(max((len(offered) for _, offered in queues), default=0)):
        for live, offered in queues:
            if lap < len(offered):
                yield live, offered[lap]


def _refusal(task: Task, pool: Pool, check_vox: Gate) -> Reason | str | None:
    message = check_vox(task.answer)
    if message is not None:
        return Reason("refused by the syntax gate", message)
    _, similarity = pool.programs.nearest(task.answer)
    return "near-duplicate of an earlier program" if similarity >= NEAR_PROGRAM else None


def _symbol(live: Live, task: Task) -> str:
    return f"{live.row['source_symbol']}::{task.label}"


def _drop(live: Live, task: Task, reason: Reason | str) -> Drop:
    return Drop(
        stage=STAGE,
        why=reason,
        source_path=live.row["source_path"],
        line=live.row["source_start_line"],
        item=_symbol(live, task),
    )


def _pair(live: Live, task: Task, prompt: str, profile: Profile) -> Pair:
    row = live.row
    repository, path = profile.locate(row["source_path"])
    return Pair(
        messages=turns(prompt, task.answer),
        lane=profile.within(repository).lane_for("synthetic", "code_only", path),
        response_mode="code_only",
        task_family=task.family,
        language="vox",
        origin="synthetic",
        category=main_construct(task.answer),
        difficulty=difficulty(DIFFICULTY_LEVEL, task.answer),
        source_kind="synthetic",
        source_path=row["source_path"],
        source_start_line=row["source_start_line"],
        source_end_line=row["source_end_line"],
        source_symbol=_symbol(live, task),
        source_commit=row["source_commit"],
        source_date=row["source_date"],
        parents=live.parents,
    )


def main_construct(source: str) -> str:
    """Return the main construct of a live program: its most specific declaration or construct.

    A plain function is the least specific: nearly every program has a function.
    """
    kinds = [entry.kind for entry in declarations(source)]
    special = [kind for kind in kinds if kind not in ("function", "struct", "import")]
    if special:
        return max(special, key=lambda kind: (special.count(kind), kind))
    used = constructs(source)
    specific = ("error_propagation", "match", "pipe", "lambda", "while", "for", "if", "struct")
    return next((name for name in specific if name in used), "function")
