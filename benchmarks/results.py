"""Stores the figures of trainings in docs/results, and renders docs/results.md from them.

    python benchmarks/results.py                 renders the stored figures: `make results`
    python benchmarks/results.py --store FOLDER  first stores those of a data directory

Figures are stored without texts: no rows, no answers. docs/results.md is written by hand around
blocks that this program replaces; a block begins with `<!-- NAME -->` and ends with `<!-- end -->`.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from vox_assets.exam import results
from vox_assets.exam.decide import NAMES
from vox_assets.exam.task import RUNGS
from vox_assets.publish.exam_figures import constructs_by_rung, ladders
from vox_assets.publish.figures import Figure, forest
from vox_assets.store.files import write_text
from vox_assets.store.lake import Lake
from vox_assets.training.adapter.evaluation_table import kind_table, ladder_table
from vox_assets.training.adapter.manifest import read_manifest
from vox_assets.training.evaluation.arms import TABLE_HEADER, table_lines
from vox_assets.training.promote import current

DOCS = Path(__file__).parent.parent / "docs"
STORED = DOCS / "results"
PAGE = DOCS / "results.md"

#: Columns of an answer that are stored: what was asked and which rungs the answer reaches.
ANSWER_COLUMNS = ("task_id", "source_path", "kind", "construct", "arm", "sample", *RUNGS, "passed")
#: Parts of an evaluation that contain texts.
TEXTS = ("generations", "base_generations")


def store(data: Path) -> None:
    """Store the figures of the last evaluated adapter and of every arm of a data directory.

    Raises FileNotFoundError if the directory has neither.
    """
    stored = 0
    lake = Lake(str(data / "lake"))
    if (data / "lake" / "adapter_eval").exists():
        digest = lake.read("qlora_adapter")["digest"].item()
        manifest = read_manifest(data / "adapters" / digest)
        promoted = current(data / "adapters")
        facts = {
            **{name: manifest[name] for name in ("digest", "base_model", "rank", "training")},
            "config": manifest["config"],
            "source_commit": manifest["provenance"]["source_commit"],
            "promoted": promoted is not None and promoted["digest"] == digest,
            "evaluation": _without_texts(manifest["evaluation"]),
            "exam": lake.read("exam_answers").select(ANSWER_COLUMNS).to_dicts(),
        }
        _write(STORED / "adapter.json", facts)
        stored += 1
    for path in sorted((data / "ablation").glob("*.json")):
        arm = json.loads(path.read_text(encoding="utf-8"))
        _write(
            STORED / f"arm_{path.stem}.json",
            {**arm, "evaluation": _without_texts(arm["evaluation"])},
        )
        stored += 1
    if not stored:
        raise FileNotFoundError(f"{data} has no evaluated adapter and no arm: build it first")


def _without_texts(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in evaluation.items() if key not in TEXTS}


def _write(path: Path, content: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(content, sort_keys=True) + "\n")


def blocks() -> tuple[dict[str, str], dict[str, Figure]]:
    """Return the blocks of the page by name and its pictures by file name."""
    text: dict[str, str] = {}
    pictures: dict[str, Figure] = {}
    if (STORED / "adapter.json").exists():
        adapter = json.loads((STORED / "adapter.json").read_text(encoding="utf-8"))
        answers = pl.DataFrame(adapter["exam"], infer_schema_length=None)
        text["training"] = _training(adapter)
        for name in ("report", "development"):
            part = results.half(answers, name)
            text[f"ladder-{name}"] = _table(*ladder_table(_exam(part)))
            text[f"kinds-{name}"] = _table(*kind_table(_exam(part)))
            text[f"differences-{name}"] = _differences(part)
        report = results.half(answers, "report")
        pictures["ladder.svg"] = ladders(results.shares(report), NAMES, "svg")
        constructs = results.shares(answers, "construct").filter(arm="adapter")
        pictures["constructs.svg"] = constructs_by_rung(constructs, "svg")
        text["verdicts"] = _table(
            ("verdict", "outcome", "figures"),
            [
                (
                    f"`{item['name']}`",
                    "passed" if item["passed"] else "undecided" if item["undecided"] else "failed",
                    item["reason"],
                )
                for item in adapter["evaluation"]["verdicts"]
            ],
        )
    arms = [
        json.loads(path.read_text(encoding="utf-8")) for path in sorted(STORED.glob("arm_*.json"))
    ]
    if arms:
        arms.sort(key=lambda item: (item["arm"] != "curated", item["arm"]))
        text["arms"] = _table(TABLE_HEADER, table_lines(arms))
        text["meaning-of-arms"] = _table(
            ("arm", "what differs", "tokens by language", "seed", "minutes"),
            [
                (
                    f"`{item['arm']}`",
                    item["why"],
                    ", ".join(f"{name} {count:,}" for name, count in item["languages"].items()),
                    str(item["seed"]),
                    f"{item['seconds'] / 60:.0f}",
                )
                for item in arms
            ],
        )
        pictures["arms.svg"] = forest(
            [(item["arm"], item["evaluation"]["held_out"]["ratio"]) for item in arms], "svg"
        )
    for name, picture in pictures.items():
        text[f"{Path(name).stem}-picture"] = f"![{picture.caption}](results/{name})"
    return text, pictures


def _exam(answers: pl.DataFrame) -> dict[str, Any]:
    return {
        "shares": results.shares(answers).to_dicts(),
        "kinds": results.shares(answers, "kind").to_dicts(),
    }


def _differences(answers: pl.DataFrame) -> str:
    return _table(
        ("rung", "adapter minus", "tasks", "difference [95 %]"),
        [
            (
                item.rung,
                NAMES[item.other],
                str(item.tasks),
                f"{item.interval.value:+.0%} [{item.interval.low:+.0%}, {item.interval.high:+.0%}]",
            )
            for item in results.differences(answers, ("ends", "parses", "passed"))
        ],
    )


def _training(adapter: Mapping[str, Any]) -> str:
    training, rank = adapter["training"], adapter["rank"]
    promoted = "promoted" if adapter["promoted"] else "not promoted"
    facts = {
        "adapter": f"`{adapter['digest']}`, {promoted}",
        "base": adapter["base_model"]["name"],
        "steps": f"{training['steps']:,} of {training['planned_steps']:,}: "
        f"{training['stopped_by']}",
        "tokens": f"{training['tokens']:,}",
        "rank, alpha, rate": f"{rank['rank']}, {rank['alpha']}, {rank['learning_rate']:g}",
        "seed": str(adapter["config"]["training"]["seed"]),
        "hours": f"{training['seconds'] / 3600:.2f} on {training['device']} "
        f"({training['tokens_per_second']:.0f} tokens/s)",
        "held-out loss": f"{training['untrained_watched_nll']:.3f} untrained, "
        f"{training['best_watched_nll']:.3f} trained",
    }
    return _table(("what", "value"), list(facts.items()))


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows
    )


def fill(page: str, text: Mapping[str, str]) -> str:
    """Replace the blocks of a page; a block without figures says so."""

    def block(match: re.Match[str]) -> str:
        content = text.get(match[1], "Not measured yet.")
        return f"<!-- {match[1]} -->\n{content}\n<!-- end -->"

    return re.sub(r"<!-- ([a-z-]+) -->\n.*?<!-- end -->", block, page, flags=re.DOTALL)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--store", type=Path, metavar="FOLDER", help="a data directory to store")
    options = parser.parse_args(arguments)
    if options.store is not None:
        store(options.store)
    text, pictures = blocks()
    for name, picture in pictures.items():
        image = base64.b64decode(picture.source.partition(",")[2])
        write_text(STORED / name, image.decode("utf-8"))
    write_text(PAGE, fill(PAGE.read_text(encoding="utf-8"), text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
