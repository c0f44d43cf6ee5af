"""Draws the live tasks: parts of held-out documentation and golden programs.

A part is a function or an actor with all that it needs. Its prompt gives the types, the signatures,
the texts and numbers that nobody could guess, and a few calls with their outcomes; other calls stay
hidden.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import polars as pl

from vox_assets.contract.rows import hash_order, turns
from vox_assets.curate.secrets import findings
from vox_assets.exam.running import decided, examples, hidden_calls
from vox_assets.exam.sealed import reveals
from vox_assets.exam.structure import declared, facts
from vox_assets.exam.task import Call, Task
from vox_assets.mix.leakage import leaks
from vox_assets.mix.schema import TRAIN
from vox_assets.profiles import Profile
from vox_assets.synthesize.alike import Programs
from vox_assets.synthesize.vox.live_code import Reader, live_program, main_construct, programs
from vox_assets.synthesize.vox.live_tasks.task import BODIED_KINDS, Live, fenced, mentions, needed
from vox_assets.synthesize.vox.programs import NEAR_PROGRAM, Gate
from vox_assets.vox_syntax import Declaration, parse

#: Characters of Vox for each token of an answer, at the least: a reference has to fit.
_CHARS_PER_TOKEN = 2.5
#: Tasks of one source at most, so that one page is not the whole kind.
_PER_SOURCE = 4
#: Calls that the prompt shows, those that can be told in so many characters.
_SHOWN = 3
_TOLD_CHARS = 300
#: Calls that are considered for it.
_CONSIDERED = 24
_LEVEL = 2

#: Declarations that the prompt gives as they are.
_GIVEN = frozenset({"struct", "table", "adt", "index", "constant", "state_machine"})
_ASKED = frozenset({*BODIED_KINDS, "mcp_resource", "actor"})
_HEADER = re.compile(r'^//\s*(title|description): *"?([^"\n]+)"?', re.MULTILINE)


def live_tasks(
    doc_rows: pl.DataFrame,
    mix_rows: pl.DataFrame,
    profile: Profile,
    read_source: Reader,
    golden: Iterable[tuple[str, str]],
    check_vox: Gate,
) -> list[Task]:
    """Draw tasks about live programs whose sources have no training row in the mix.

    `golden` has the paths and texts of golden programs. The tasks are chosen by the hash of their
    path, up to four of a source; no two are near duplicates, no training row reveals one, and none
    holds a secret.
    """
    train = mix_rows.filter(pl.col("split") == TRAIN)
    trained = set(train["source_path"])
    held_out = [
        *programs(doc_rows, read_source, profile),
        *(live for path, text in golden for live in _golden(path, text)),
    ]
    open_sources = [live for live in held_out if live.row["source_path"] not in trained]
    most = profile.exam.answer_tokens * _CHARS_PER_TOKEN
    tasks = [
        task
        for live in open_sources
        for item in live.declared
        if (task := _task(live, item, profile.synthesis.seed, most, check_vox)) is not None
    ]
    revealed = _revealed(tasks, train, profile)
    return _chosen([task for task in tasks if task.task_id not in revealed], profile.exam.live)


def _golden(path: str, text: str) -> Iterator[Live]:
    """Read a golden program; its header says what it shows."""
    source = live_program(text)
    if source:
        said = dict(_HEADER.findall(text))
        row = {
            "pair_id": path,
            "source_path": path,
            "source_symbol": said.get("title", path.rpartition("/")[2].removesuffix(".vox")),
            "prompt": said.get("description", ""),
        }
        yield Live.of(row, (), source)


def _task(live: Live, item: Declaration, seed: int, most: float, check_vox: Gate) -> Task | None:
    """Make a task about a declaration and all that it needs; None where it cannot be asked."""
    if item.kind not in _ASKED:
        return None
    source = live.around(item)
    part = Live.of(live.row, live.parents, source)
    kinds = {each.kind for each in part.declared}
    if len(source) > most or not kinds <= _GIVEN | _ASKED or check_vox(source) is not None:
        return None
    calls = hidden_calls(source, seed)
    if not calls:
        return None
    prompt = _prompt(part, item, examples(source, seed, calls, _CONSIDERED))
    if findings(f"{prompt}\n{source}"):
        return None
    return Task(
        prompt=prompt,
        reference=source,
        construct=main_construct(source),
        variant=item.name,
        domain="",
        level=_LEVEL,
        kind="live",
        source_path=live.row["source_path"],
        declarations=declared(source),
        facts=facts(source, _bodies(part, source, calls)),
        calls=calls,
    )


def _bodies(part: Live, source: str, calls: Iterable[Call]) -> frozenset[str]:
    """Name everything with a body: what calls do not decide, the prompt does not tell either."""
    asked = {item.name for item in part.declared if item.kind in _ASKED}
    handlers = {item.name for item in declared(source) if item.kind == "handler"}
    return decided(source, calls) | asked | handlers


def _prompt(part: Live, item: Declaration, shown: Iterable[Call]) -> str:
    """Word the task, with all that an answer cannot guess."""
    title = str(part.row["source_symbol"]).rpartition(" > ")[2]
    said = mentions(part.row["prompt"], item.name) or _sentence(part.row["prompt"])
    given = "\n\n".join(each.text for each in part.declared if each.kind in _GIVEN)
    signatures = [line for each in part.declared if each.kind in _ASKED for line in _heads(each)]
    lines = [f'Write Vox code for "{title}".{f" {said}" if said else ""}']
    if given:
        lines.append(f"It has these declarations as they are:\n\n{fenced(given)}")
    lines.append("\n".join(["It declares:", *(f"- `{line}`" for line in signatures)]))
    told = [text for call in shown if len(text := _told(call)) <= _TOLD_CHARS][:_SHOWN]
    if told:
        lines.append("\n".join(["For example:", *(f"- {line}" for line in told)]))
    if constants := needed(part.source, "\n".join(lines)):
        lines.append(constants.replace("The missing part uses", "It uses"))
    return "\n\n".join(lines)


def _told(call: Call) -> str:
    *before, asked = call.steps
    after = f"after {', '.join(f'`{step}`' for step in before)}, " if before else ""
    return f"{after}`{asked}` gives `{call.outcomes[-1]}`"


def _sentence(prompt: str) -> str:
    """Return the first sentence of a description; the prompt of a row is about all of its code."""
    return "" if "```" in prompt or "Declare" in prompt else prompt.strip()


def _heads(item: Declaration) -> list[str]:
    """Return what comes before each body, decorators included, in one line each."""
    is_actor = item.kind == "actor"
    heads = [f"actor {item.name}"] if is_actor else []
    nodes: Iterable[Any] = parse(item.text).find_data("handler" if is_actor else "function")
    for node in nodes:
        start = node.meta.start_pos if is_actor else 0
        heads.append(" ".join(item.text[start : node.children[-1].meta.start_pos].split()))
    return heads


def _revealed(tasks: Iterable[Task], train: pl.DataFrame, profile: Profile) -> set[str]:
    """Return the ids of the tasks whose answers a training row reveals."""
    asked = pl.DataFrame(
        [
            {
                "pair_id": task.task_id,
                "messages": list(turns("", task.reference)),
                "response_mode": "code_only",
            }
            for task in tasks
        ],
        schema={
            "pair_id": pl.String(),
            "messages": train.schema["messages"],
            "response_mode": pl.String(),
        },
    )
    found = leaks(asked, train.select("pair_id", "messages", "response_mode"), profile.dedup)
    return {leak.held_out for leak in found if reveals(leak, "live")}


def _chosen(tasks: Iterable[Task], amount: int) -> list[Task]:
    """Choose tasks in the order of the hash of their source, a task of each source in turn."""
    by_source: dict[str, list[Task]] = {}
    for task in tasks:
        by_source.setdefault(task.source_path, []).append(task)
    seen = Programs()
    chosen: list[Task] = []
    for _ in range(_PER_SOURCE):
        for path in sorted(by_source, key=lambda name: hash_order("exam", name)):
            own = by_source[path]
            while own and len(chosen) < amount:
                task = own.pop(0)
                if seen.nearest(task.reference)[1] < NEAR_PROGRAM:
                    seen.add(task.task_id, task.reference)
                    chosen.append(task)
                    break
    return chosen
