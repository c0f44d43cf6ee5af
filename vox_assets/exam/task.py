"""Defines a task of the exam and its table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal, get_args

import polars as pl

#: `familiar`: a trained template in a domain that is never rendered for training. `new_variant`: a
#: variant that is kept from training, of a construct that is trained. `new_construct`: a template
#: file that is kept from training. `live`: held-out documentation or a held-out golden program.
Kind = Literal["familiar", "new_variant", "new_construct", "live"]
KINDS: tuple[Kind, ...] = get_args(Kind)

#: Steps that an answer passes one after another: it ends by itself, has nothing but code, parses,
#: is accepted by the compiler, declares what was asked, and behaves as the reference does. The
#: compiler's rung is absent without a compiler.
Rung = Literal["ends", "code_only", "parses", "checks", "declares", "behaves"]
RUNGS: tuple[Rung, ...] = get_args(Rung)


@dataclass(frozen=True)
class Declared:
    """A declaration that an answer has to contain."""

    #: Its construct, as in `vox_syntax.Declaration.kind`.
    kind: str
    name: str
    #: Name and type of each parameter, in order.
    parameters: tuple[tuple[str, str], ...] = ()
    #: The type of the result, empty where none is written.
    result: str = ""


@dataclass(frozen=True)
class Call:
    """A hidden call: Vox expressions that run one after another on a fresh state of the program."""

    steps: tuple[str, ...]
    #: The outcome of each step in the reference, as `running` writes it.
    outcomes: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """A task of the exam, with all that grading an answer needs."""

    prompt: str
    #: A correct answer.
    reference: str
    construct: str
    #: The variant of the template, or the symbol of the live program.
    variant: str
    #: The domain of the lexicon, empty for a live task.
    domain: str
    level: int
    kind: Kind
    #: The template file or the source file.
    source_path: str
    declarations: tuple[Declared, ...] = ()
    #: What the program's structure has to hold where calls do not decide, as `structure` writes it.
    facts: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()

    @property
    def task_id(self) -> str:
        """Hex digest of everything that decides a grade."""
        content = json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def decided_by(self) -> Literal["running", "structure"]:
        """How the last rung is decided: by hidden calls, or by structural facts without them."""
        return "running" if self.calls else "structure"


_DECLARED = pl.Struct(
    {
        "kind": pl.String,
        "name": pl.String,
        "parameters": pl.List(pl.Struct({"name": pl.String, "type": pl.String})),
        "result": pl.String,
    }
)
_CALL = pl.Struct({"steps": pl.List(pl.String), "outcomes": pl.List(pl.String)})

TASK_SCHEMA: dict[str, pl.DataType] = {
    "task_id": pl.String(),
    "kind": pl.String(),
    "construct": pl.String(),
    "variant": pl.String(),
    "domain": pl.String(),
    "level": pl.Int64(),
    "source_path": pl.String(),
    "decided_by": pl.String(),
    "prompt": pl.String(),
    "reference": pl.String(),
    "declarations": pl.List(_DECLARED),
    "facts": pl.List(pl.String),
    "calls": pl.List(_CALL),
}

TASK_MEANINGS: dict[str, str] = {
    "task_id": "digest of everything that decides a grade",
    "kind": "familiar, new_variant, new_construct or live",
    "construct": "language construct that the task asks for",
    "variant": "variant of the template, or symbol of the live program",
    "domain": "domain of the lexicon; empty for a live task",
    "level": "difficulty of the template, 1 to 3",
    "source_path": "template file or source file",
    "decided_by": "running (hidden calls) or structure (structural facts)",
    "prompt": "what the model is asked",
    "reference": "a correct answer",
    "declarations": "declarations that an answer must contain",
    "facts": "structural facts that an answer must have",
    "calls": "hidden calls, with the outcome of each step in the reference",
}


def to_frame(tasks: Iterable[Task]) -> pl.DataFrame:
    """Return the table of tasks (TASK_SCHEMA), in the given order."""
    lines = []
    for task in tasks:
        line = asdict(task)
        for declared in line["declarations"]:
            declared["parameters"] = [
                {"name": name, "type": kind} for name, kind in declared["parameters"]
            ]
        lines.append({"task_id": task.task_id, "decided_by": task.decided_by, **line})
    return pl.DataFrame(lines, schema=TASK_SCHEMA)


def from_frame(table: pl.DataFrame) -> list[Task]:
    """Read tasks back from their table.

    Raises ValueError for a table without a column of TASK_SCHEMA, and for a task whose `task_id`
    does not match its content.
    """
    missing = TASK_SCHEMA.keys() - set(table.columns)
    if missing:
        raise ValueError(f"exam_tasks: has no column {', '.join(sorted(missing))}")
    tasks = []
    for line in table.select(TASK_SCHEMA.keys()).iter_rows(named=True):
        task_id = line.pop("task_id")
        del line["decided_by"]
        task = Task(
            **line
            | {
                "declarations": tuple(
                    Declared(
                        declared["kind"],
                        declared["name"],
                        tuple((item["name"], item["type"]) for item in declared["parameters"]),
                        declared["result"],
                    )
                    for declared in line["declarations"]
                ),
                "facts": tuple(line["facts"]),
                "calls": tuple(
                    Call(tuple(call["steps"]), tuple(call["outcomes"])) for call in line["calls"]
                ),
            }
        )
        if task.task_id != task_id:
            raise ValueError(f"exam task {task_id}: its content has the digest {task.task_id}")
        tasks.append(task)
    return tasks
