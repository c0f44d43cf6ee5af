"""Writes the Hugging Face dataset: Parquet files by lane and split, and the dataset card."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from vox_assets.contract.rows import SCHEMA, hash_order
from vox_assets.mix.schema import EVAL, TRAIN

SPLITS = (TRAIN, EVAL)


#: Columns of the dataset: the corpus row, its score, and whether the row is in the mix.
HF_SCHEMA: dict[str, pl.DataType] = {
    **SCHEMA,
    "score": pl.Float64(),
    "in_mix": pl.Boolean(),
}


#: One in this many of the sources that are not in the mix is held out.
HELD_OUT_ONE_IN = 10


def write_dataset(
    scored: pl.LazyFrame,
    mix_rows: pl.DataFrame,
    target: Path,
    name: str,
    license_id: str,
    source_commit: str | None = None,
) -> None:
    """Write one Parquet file per lane and split, and a card, for `load_dataset(target, lane)`.

    There is no default configuration, so that nobody mixes lanes by accident.
    """
    splits = split_corpus(
        scored.select("pair_id", "lane", "source_path", "kept").collect(), mix_rows
    )
    columns = [pl.col(column).cast(dtype) for column, dtype in HF_SCHEMA.items()]
    counts = []
    for lane in sorted(splits["lane"].unique().to_list()):
        folder = target / lane
        folder.mkdir(parents=True)
        for split in SPLITS:
            chosen = splits.filter((pl.col("lane") == lane) & (pl.col("split") == split))
            # `load_dataset` fails on a split without rows.
            if chosen.is_empty():
                continue
            path = folder / f"{split}.parquet"
            # Only the texts of one lane and split are in memory.
            part = (
                scored.filter(pl.col("lane") == lane)
                .join(chosen.lazy().select("pair_id", "in_mix"), on="pair_id")
                .select(columns)
                .collect()
                .sort("pair_id")
            )
            part.write_parquet(path)
            counts.append(
                {"lane": lane, "split": split, "rows": len(part), "bytes": path.stat().st_size}
            )
    card = render_card(name, license_id, counts, source_commit)
    (target / "README.md").write_text(card, encoding="utf-8")


def split_corpus(scored: pl.DataFrame, mix_rows: pl.DataFrame) -> pl.DataFrame:
    """Return `pair_id`, `lane`, `source_path`, `split` and `in_mix` of every kept row.

    A row of the mix keeps its split. Any other row gets the split that its file has in the mix. Of
    the files that are not in the mix, one in HELD_OUT_ONE_IN of each lane is held out, in hash
    order.
    """
    kept = scored.filter(pl.col("kept"))
    split_of_row = dict(mix_rows.select("pair_id", "split").iter_rows())
    by_split = mix_rows.sort("split", descending=True)
    split_of_file = dict(by_split.select("source_path", "split").rows())
    unknown = kept.filter(~pl.col("source_path").is_in(list(split_of_file)))
    for _, lane in sorted(unknown.group_by("lane")):
        sources = sorted(lane["source_path"].unique().to_list(), key=partial(hash_order, "export"))
        share = max(1, len(sources) // HELD_OUT_ONE_IN) if len(sources) > 1 else 0
        # A file with rows in two lanes has the same split in both.
        split_of_file |= {path: EVAL for path in sources[:share] if path not in split_of_file}
        split_of_file |= {path: TRAIN for path in sources[share:] if path not in split_of_file}

    columns = kept.select("pair_id", "source_path")
    splits = [
        split_of_row.get(pair_id, split_of_file[path]) for pair_id, path in columns.iter_rows()
    ]
    return kept.select(
        "pair_id",
        "lane",
        "source_path",
        pl.Series("split", splits, dtype=pl.String),
        pl.col("pair_id").is_in(list(split_of_row)).alias("in_mix"),
    )


_FEATURE_NAMES = {pl.String(): "string", pl.Int64(): "int64", pl.Float64(): "float64"}


def _features() -> list[dict[str, Any]]:
    """Return `dataset_info.features` of the card in the notation of `datasets`."""
    features: list[dict[str, Any]] = []
    for name, dtype in HF_SCHEMA.items():
        if name == "messages":
            turn = [{"name": part, "dtype": "string"} for part in ("role", "content")]
            features.append({"name": name, "list": turn})
        elif name == "parents":
            features.append({"name": name, "list": "string"})
        else:
            features.append({"name": name, "dtype": _FEATURE_NAMES.get(dtype, "bool")})
    return features


def render_card(
    name: str, license_id: str, counts: list[dict[str, Any]], source_commit: str | None
) -> str:
    """Render the dataset card: YAML for `load_dataset`, then a description for readers."""
    lanes = sorted({count["lane"] for count in counts})
    total = sum(count["rows"] for count in counts)
    header = {
        "license": license_id,
        "pretty_name": name,
        "language": ["en"],
        "task_categories": ["text-generation"],
        "tags": ["vox", "rust", "instruction-tuning"],
        "size_categories": [_size_category(total)],
        "configs": [
            {
                "config_name": lane,
                "data_files": [
                    {"split": c["split"], "path": f"{lane}/{c['split']}.parquet"}
                    for c in counts
                    if c["lane"] == lane
                ],
            }
            for lane in lanes
        ],
        "dataset_info": [
            {
                "config_name": lane,
                "features": _features(),
                "splits": [
                    {"name": c["split"], "num_bytes": c["bytes"], "num_examples": c["rows"]}
                    for c in counts
                    if c["lane"] == lane
                ],
            }
            for lane in lanes
        ],
    }
    rows = {(count["lane"], count["split"]): count["rows"] for count in counts}
    table = [
        f"| `{lane}` | {rows.get((lane, TRAIN), 0)} | {rows.get((lane, EVAL), 0)} |"
        for lane in lanes
    ]
    example = lanes[0] if lanes else "LANE"
    return "\n".join(
        [
            "---",
            yaml.safe_dump(header, sort_keys=False, allow_unicode=True).rstrip(),
            "---",
            "",
            f"# {name}",
            "",
            "Instruction pairs made from a Rust workspace and its Markdown documentation, with "
            "verified synthetic rows, deduplicated and scored 1-10. Built by vox-assets from "
            f"source commit {source_commit or '(not under git)'}.",
            "",
            "Each lane is a separate configuration and there is no default, so that nobody trains "
            "prose and code together by accident:",
            "",
            "```python",
            "from datasets import load_dataset",
            "",
            f'rows = load_dataset("PATH_OF_THIS_FOLDER", "{example}")',
            "```",
            "",
            "| lane | train | eval |",
            "|---|---|---|",
            *table,
            "",
            "All rows of a source file have the same split. `in_mix` marks the rows that the "
            "project's own adapter is trained and evaluated on; the other rows passed curation "
            "too. `origin` is `human`, `synthetic` (templates, checked by the language's front "
            "end) or `model`. Every row names its source file (with the name of its repository "
            "if there are several), lines, symbol and commit; `parents` names the rows that it "
            "was made from.",
            "",
        ]
    )


def _size_category(rows: int) -> str:
    bounds = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K")]
    return next((label for bound, label in bounds if rows < bound), "100K<n<1M")
