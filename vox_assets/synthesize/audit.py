"""Checks of synthetic rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import polars as pl

from vox_assets.contract.rows import Message
from vox_assets.contract.verdict import Verdict
from vox_assets.synthesize.alike import share_alike
from vox_assets.synthesize.vox.coverage import drifted, missing
from vox_assets.synthesize.vox.programs import NEAR_INSTRUCTION, without_code

#: Largest share of requests that may resemble an earlier request. It is not zero, because repairs
#: of a construct share diagnostics, and live programs are few.
MAX_ALIKE = 0.03


def answers_parse(rows: pl.DataFrame, vox_fault: Callable[[str], str | None]) -> Verdict:
    """Check that every Vox answer of every turn passes the gate."""
    faults = []
    checked = 0
    vox = rows.filter(pl.col("language") == "vox")
    for pair_id, messages in vox.select("pair_id", "messages").iter_rows():
        for turn in messages:
            if turn["role"] == "assistant":
                checked += 1
                fault = vox_fault(turn["content"])
                if fault:
                    faults.append(f"{pair_id}: {fault}")
    return Verdict.none_of(faults, "Vox answers that do not parse", checked)


def instructions_alike(rows: pl.DataFrame) -> float:
    """Compute the share of Vox rows whose request resembles an earlier one by ROUGE-L.

    The threshold is that of Self-Instruct. The comparison is within a task family and construct; it
    takes all turns of a dialogue together, without the code that they quote.
    """
    alike = total = 0.0
    vox = rows.filter(pl.col("language") == "vox")
    for _, group in vox.group_by("task_family", "category", maintain_order=True):
        total += group.height
        requests = [without_code(_asked(turns)) for turns in group["messages"].to_list()]
        alike += group.height * share_alike(requests, NEAR_INSTRUCTION)
    return alike / total if total else 0.0


def _asked(messages: Iterable[Message]) -> str:
    return "\n".join(turn["content"] for turn in messages if turn["role"] == "user")


def constructs_covered(coverage: pl.DataFrame) -> Verdict:
    """Check that every construct of live documentation occurs in synthetic rows."""
    live = int((coverage["live_count"] > 0).sum())
    return Verdict.none_of(missing(coverage), "live constructs without a template", live)


def templates_still_live(rows: pl.DataFrame, coverage: pl.DataFrame) -> Verdict:
    """Check that no template needs a construct that live documentation no longer uses."""
    faults = [f"{path} needs {', '.join(names)}" for path, names in drifted(rows, coverage).items()]
    templates = rows.filter(pl.col("task_family") == "write_construct")["source_path"].n_unique()
    return Verdict.none_of(faults, "templates that have drifted", templates)
