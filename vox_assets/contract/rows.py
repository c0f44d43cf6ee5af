"""The corpus row: its columns, lanes and id, and the record of a dropped item.

Every writer and reader of a corpus table uses these definitions. Making rows (extract, synthesize)
and judging them (curate) do not belong here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple, TypedDict, get_args

import polars as pl

if TYPE_CHECKING:
    import numpy as np

Lane = Literal["vox_codegen", "vox_docs_qa", "vox_tooling", "vox_speech"]
ResponseMode = Literal["code_only", "prose_only"]
Origin = Literal["human", "synthetic", "model"]
SourceKind = Literal["rust", "docs", "synthetic"]

LANES: tuple[Lane, ...] = get_args(Lane)
RESPONSE_MODES: tuple[ResponseMode, ...] = get_args(ResponseMode)
ORIGINS: tuple[Origin, ...] = get_args(Origin)
SOURCE_KINDS: tuple[SourceKind, ...] = get_args(SourceKind)

#: Tables in which rows originate, and all tables of rows in the order of the pipeline.
SOURCE_TABLES = ("raw_rust_fns", "doc_qa_pairs", "synthetic_pairs")
CORPUS_TABLES = (*SOURCE_TABLES, "deduped_corpus", "scored_corpus", "training_mix")

# 128 bits: no collision is likely at a hundred million rows, and the id is short enough to type.
PAIR_ID_HEX_DIGITS = 32

#: Encodes a string as JSON with the fewest escapes.
_QUOTED = json.encoder.encode_basestring


class Message(TypedDict):
    """One turn of a dialogue."""

    role: Literal["user", "assistant"]
    content: str


def pair_id(lane: str, messages: Sequence[Message]) -> str:
    """Compute the id of a row from what a model learns from it: 32 hex digits of SHA-256.

    The row's source is not part of the digest, so moving a file keeps the id.
    """
    turns = ",".join(f"[{_QUOTED(turn['role'])},{_QUOTED(turn['content'])}]" for turn in messages)
    # Canonical JSON: [lane,[[role,content],...]].
    canonical = f"[{_QUOTED(lane)},[{turns}]]"
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:PAIR_ID_HEX_DIGITS]


def hash_order(salt: str | int, name: str) -> str:
    """Return a sort key for a random order of names; each `salt` gives a fixed order."""
    return hashlib.sha256(f"{salt}:{name}".encode()).hexdigest()


def in_hash_order(rows: pl.DataFrame, salt: str | int) -> pl.DataFrame:
    """Sort rows by the `hash_order` of their `pair_id`."""
    keys = [hash_order(salt, name) for name in rows["pair_id"]]
    return rows.with_columns(pl.Series("_key", keys, dtype=pl.String)).sort("_key").drop("_key")


def turns(*contents: str) -> tuple[Message, ...]:
    """Alternate `contents` between user and assistant, the user first.

    Raises ValueError unless the dialogue ends with an assistant's answer.
    """
    if not contents or len(contents) % 2:
        raise ValueError(f"a dialogue ends with an answer: got {len(contents)} turns")
    roles: tuple[Literal["user", "assistant"], ...] = ("user", "assistant")
    return tuple(Message(role=roles[i % 2], content=text) for i, text in enumerate(contents))


@dataclass(frozen=True)
class Pair:
    """A row before it enters a table. Lines are 1-based and inclusive."""

    messages: tuple[Message, ...]
    lane: Lane
    response_mode: ResponseMode
    task_family: str
    language: str
    origin: Origin
    category: str
    difficulty: int
    source_kind: SourceKind
    source_path: str
    source_start_line: int
    source_end_line: int
    source_symbol: str
    source_commit: str | None = None
    #: ISO date of the last update, if the source states it.
    source_date: str | None = None
    #: Whether the source item has documentation: such rows win over their duplicates.
    documented: bool = False
    parents: tuple[str, ...] = field(default=())

    @cached_property
    def pair_id(self) -> str:
        return pair_id(self.lane, self.messages)

    @property
    def prompt(self) -> str:
        return self.messages[-2]["content"]

    @property
    def response(self) -> str:
        return self.messages[-1]["content"]

    def at_commit(self, commit: str | None) -> Pair:
        return replace(self, source_commit=commit)


MESSAGE_TYPE = pl.Struct({"role": pl.String, "content": pl.String})

#: Columns of every corpus table, in order.
SCHEMA: dict[str, pl.DataType] = {
    "pair_id": pl.String(),
    "prompt": pl.String(),
    "response": pl.String(),
    "messages": pl.List(MESSAGE_TYPE),
    "lane": pl.String(),
    "response_mode": pl.String(),
    "task_family": pl.String(),
    "language": pl.String(),
    "origin": pl.String(),
    "category": pl.String(),
    "difficulty": pl.Int64(),
    "source_kind": pl.String(),
    "source_path": pl.String(),
    "source_start_line": pl.Int64(),
    "source_end_line": pl.Int64(),
    "source_symbol": pl.String(),
    "source_commit": pl.String(),
    "source_date": pl.String(),
    "documented": pl.Boolean(),
    "parents": pl.List(pl.String()),
}

#: Meaning of each column of `SCHEMA`, for the UI and docs/tables.md.
MEANINGS: dict[str, str] = {
    "pair_id": "id of the row: 32 hex digits of the SHA-256 of lane and messages",
    "prompt": "last question of the dialogue",
    "response": "last answer of the dialogue",
    "messages": "all turns of the dialogue, from the first question to the last answer",
    "lane": "group of rows that an adapter is trained on: " + ", ".join(LANES),
    "response_mode": "what the answer consists of: code_only or prose_only",
    "task_family": "kind of task, such as implement_from_doc, explain_api or repair_syntax",
    "language": "language of the answer, such as rust, vox or markdown",
    "origin": "who wrote the row: human, synthetic (a template) or model (a language model)",
    "category": "topic: the crate, the folder of the page, or the construct of a Vox program",
    "difficulty": "difficulty from 1 (easy) to 10",
    "source_kind": "kind of source: rust, docs or synthetic",
    "source_path": "file that the row comes from, below the source root",
    "source_start_line": "first line of the source in its file, counted from 1",
    "source_end_line": "last line of the source in its file",
    "source_symbol": "path of the Rust item, heading of the page, or name of the template",
    "source_commit": "git commit of the source tree; null outside git",
    "source_date": "ISO date of the last update, where the page states it",
    "documented": "true where the source item has documentation",
    "parents": "ids of the rows that a synthetic row was made from",
}

#: An item that could have become a row and did not: the account of every step's losses.
DROP_SCHEMA: dict[str, pl.DataType] = {
    "pair_id": pl.String(),
    "source_path": pl.String(),
    "line": pl.Int64(),
    "item": pl.String(),
    "stage": pl.String(),
    "kind": pl.String(),
    "detail": pl.String(),
    "reason": pl.String(),
    "lost_to": pl.String(),
    "similarity": pl.Float64(),
}

#: Meaning of each column of `DROP_SCHEMA`.
DROP_MEANINGS: dict[str, str] = {
    "pair_id": "id of the dropped row; null where no row existed yet",
    "source_path": "file of the item, below the source root",
    "line": "line of the item in its file, counted from 1",
    "item": "path of the Rust item, heading of the page, or name of the template",
    "stage": "step that dropped the item, such as extract_rust or dedup",
    "kind": "kind of the reason, which many drops share",
    "detail": "what belongs to this drop alone; empty where the kind says everything",
    "reason": "kind and detail in one text",
    "lost_to": "id of the row that was kept instead, for duplicates and leaks",
    "similarity": "similarity to that row, from 0 to 1",
}


class Reason(NamedTuple):
    """The reason of a drop: many drops share a `kind`, and `detail` belongs to this drop."""

    kind: str
    detail: str = ""

    @property
    def text(self) -> str:
        """The whole reason, for people."""
        return f"{self.kind}: {self.detail}" if self.detail else self.kind


class SchemaError(ValueError):
    """A table does not match its schema."""


def check_schema(frame: pl.DataFrame, schema: Mapping[str, pl.DataType], table: str) -> None:
    """Check that a table begins with the columns of `schema`, in order and of their types.

    Columns of the asset's own may follow. Raises SchemaError with the first fault.
    """
    columns = list(frame.schema.items())
    for position, (name, dtype) in enumerate(schema.items()):
        expected = f"{table}: column {position + 1}: expected {name} of type {dtype}"
        if position >= len(columns):
            raise SchemaError(f"{expected}, but there are {len(columns)} columns")
        actual_name, actual_dtype = columns[position]
        if (actual_name, actual_dtype) != (name, dtype):
            raise SchemaError(f"{expected}: is {actual_name} of type {actual_dtype}")


def check_all_columns(frame: pl.DataFrame, schema: Mapping[str, pl.DataType], table: str) -> None:
    """Check that a table has the columns of `schema` and no others.

    Raises SchemaError with the first fault.
    """
    check_schema(frame, schema, table)
    for name, dtype in list(frame.schema.items())[len(schema) :]:
        raise SchemaError(
            f"{table}: column {len(schema) + 1}: expected no more columns: "
            f"is {name} of type {dtype}"
        )


#: Schemas that the lake checks when it writes tables: by asset, and by account.
TABLE_SCHEMAS = dict.fromkeys(CORPUS_TABLES, SCHEMA)
ACCOUNT_SCHEMAS = {"drops": DROP_SCHEMA}


@dataclass(frozen=True)
class Drop:
    """An item that a step dropped, and why. `pair_id` is null where no row existed yet."""

    stage: str
    #: A plain string is a kind without a detail.
    why: Reason | str
    source_path: str = ""
    line: int = 0
    item: str = ""
    pair_id: str | None = None
    lost_to: str | None = None
    similarity: float | None = None

    @property
    def kind(self) -> str:
        return self.why if isinstance(self.why, str) else self.why.kind

    @property
    def detail(self) -> str:
        return "" if isinstance(self.why, str) else self.why.detail

    @property
    def reason(self) -> str:
        return self.why if isinstance(self.why, str) else self.why.text


def to_frame(pairs: Iterable[Pair]) -> pl.DataFrame:
    """Build a frame with `SCHEMA` from rows, in the order given."""
    rows = list(pairs)
    columns: dict[str, object] = {
        name: [getattr(pair, name) for pair in rows] for name in SCHEMA if name != "messages"
    }
    # Ids contain no blanks; polars would build a series for each list of a list of lists.
    parents = pl.Series([" ".join(pair.parents) for pair in rows], dtype=pl.String)
    columns["parents"] = parents.str.extract_all(r"\S+")
    columns["messages"] = _messages([pair.messages for pair in rows])
    return pl.DataFrame(columns, schema_overrides=SCHEMA).select(*SCHEMA)


def _messages(dialogues: Sequence[Sequence[Message]]) -> pl.Series:
    """Build a column from dialogues, none of which is empty.

    A flat table of turns is grouped by row: a list of structs built row by row takes ten times as
    long, and pyarrow's arrays load pandas.
    """
    turns_of = [(row, turn) for row, dialogue in enumerate(dialogues) for turn in dialogue]
    flat = pl.DataFrame(
        {
            "row": [row for row, _ in turns_of],
            "role": [turn["role"] for _, turn in turns_of],
            "content": [turn["content"] for _, turn in turns_of],
        },
        schema={"row": pl.Int64, "role": pl.String, "content": pl.String},
    )
    grouped = flat.group_by("row", maintain_order=True).agg(pl.struct("role", "content"))
    return grouped["role"].cast(SCHEMA["messages"])


#: Rows whose dialogues exist as Python objects at once, at ten times the size of the column.
ROWS_AT_ONCE = 8192


def each_dialogue(rows: pl.DataFrame) -> Iterator[list[Message]]:
    """Yield the `messages` of each row, with `ROWS_AT_ONCE` of them in memory."""
    for part in rows.select("messages").iter_slices(ROWS_AT_ONCE):
        yield from part["messages"].to_list()


def embedding_column(vectors: np.ndarray) -> pl.Series:
    """Convert a float32 matrix to the column `embedding`, a list per row."""
    import numpy as np

    return pl.Series("embedding", np.ascontiguousarray(vectors)).cast(pl.List(pl.Float32))


def embedding_matrix(column: pl.Series) -> np.ndarray:
    """Convert a column of equally long lists to a float32 matrix."""
    import numpy as np

    flat = column.explode().to_numpy().astype(np.float32, copy=False)
    return flat.reshape(len(column), -1) if len(column) else np.empty((0, 0), np.float32)


def reason_text(kind: pl.Expr, detail: pl.Expr) -> pl.Expr:
    """Build `Reason.text` from columns; it is null where `kind` is null."""
    whole = pl.format("{}: {}", kind, detail)
    return pl.when(detail.fill_null("") == "").then(kind).otherwise(whole)


def drops_to_frame(drops: Iterable[Drop]) -> pl.DataFrame:
    """Build a frame with `DROP_SCHEMA` from drops, in the order given."""
    rows = list(drops)
    columns = {name: [getattr(drop, name) for drop in rows] for name in DROP_SCHEMA}
    return pl.DataFrame(columns, schema=DROP_SCHEMA)


def keep_first(pairs: Iterable[Pair], stage: str) -> tuple[list[Pair], list[Drop]]:
    """Keep the first row of each pair id; the others become drops that name it."""
    kept: dict[str, Pair] = {}
    drops: list[Drop] = []
    for pair in pairs:
        if pair.pair_id in kept:
            drops.append(
                Drop(
                    stage=stage,
                    why="repeats an earlier row word for word",
                    source_path=pair.source_path,
                    line=pair.source_start_line,
                    item=pair.source_symbol,
                    lost_to=pair.pair_id,
                    similarity=1.0,
                )
            )
        else:
            kept[pair.pair_id] = pair
    return list(kept.values()), drops
