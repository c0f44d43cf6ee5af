"""Stores the table of each asset in the lake as a Delta table, one version per build."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg
import polars as pl

from vox_assets.contract.rows import MEANINGS, SCHEMA, SOURCE_TABLES, check_all_columns
from vox_assets.curate.dedup import CLUSTER_COLUMNS, CLUSTER_MEANINGS
from vox_assets.curate.evaluators import OPINION_COLUMNS, OPINION_MEANINGS
from vox_assets.curate.ledger import FUNNEL_MEANINGS, LEDGER_MEANINGS, LEDGER_SCHEMA
from vox_assets.curate.scoring import SCORE_COLUMNS, SCORE_MEANINGS
from vox_assets.exam.answer import ANSWER_MEANINGS, ANSWER_SCHEMA
from vox_assets.exam.task import TASK_MEANINGS, TASK_SCHEMA
from vox_assets.mix.schema import MIX_MEANINGS, MIX_SCHEMA
from vox_assets.store.lake import Lake, without_keys
from vox_assets.training.evaluation.verdicts import ROW_MEANINGS

#: The columns of the tables that other programs read. A table with other columns, types or order
#: is refused.
ASSET_SCHEMAS: Mapping[str, Mapping[str, pl.DataType]] = {
    **dict.fromkeys(SOURCE_TABLES, SCHEMA),
    "deduped_corpus": {**SCHEMA, **CLUSTER_COLUMNS},
    "scored_corpus": {
        **SCHEMA,
        **CLUSTER_COLUMNS,
        **SCORE_COLUMNS,
        "tokens": pl.Int64(),
        **OPINION_COLUMNS,
    },
    "training_mix": MIX_SCHEMA,
    "row_ledger": LEDGER_SCHEMA,
    "exam_tasks": TASK_SCHEMA,
    "exam_answers": ANSWER_SCHEMA,
}

#: The meaning of every column of the tables, for the UI. docs/tables.md repeats it.
ASSET_MEANINGS: Mapping[str, Mapping[str, str]] = {
    **dict.fromkeys(SOURCE_TABLES, MEANINGS),
    "deduped_corpus": {**MEANINGS, **CLUSTER_MEANINGS},
    "scored_corpus": {
        **MEANINGS,
        **CLUSTER_MEANINGS,
        **SCORE_MEANINGS,
        "tokens": MIX_MEANINGS["tokens"],
        **OPINION_MEANINGS,
    },
    "training_mix": {**MEANINGS, **MIX_MEANINGS},
    "row_ledger": LEDGER_MEANINGS,
    "corpus_card": FUNNEL_MEANINGS,
    "qlora_adapter": {
        "name": "name of the adapter: profile and trained lanes",
        "digest": "digest of base, rows and options; the name of the adapter's directory",
        "rank": "LoRA rank that was trained",
        "reason": "why the rank table chose this rank",
        "directory": "directory of the adapter",
        "rows_digest": "digest of the rows of the mix that it was trained and is evaluated on",
    },
    "exam_tasks": TASK_MEANINGS,
    "exam_answers": ANSWER_MEANINGS,
    "adapter_eval": ROW_MEANINGS,
}


def column_schema(asset: str, schema: Mapping[str, pl.DataType]) -> dg.TableSchema:
    """List the columns of an asset's table, their types and meanings, for the UI."""
    meanings = ASSET_MEANINGS.get(asset, {})
    return dg.TableSchema(
        [
            dg.TableColumn(name, str(dtype), description=meanings.get(name))
            for name, dtype in schema.items()
        ]
    )


class LakeIOManager(dg.IOManager):
    """Passes tables from asset to asset through the lake.

    It replaces the IO manager of dagster-polars, which computes minima and maxima over text, writes
    whole rows to the event log and needs a second client for object stores. Assets attach their own
    previews and counts.
    """

    def __init__(self, lake: Lake) -> None:
        self.lake = lake

    def handle_output(self, context: dg.OutputContext, obj: pl.DataFrame) -> None:
        """Write an asset's table. Raises SchemaError before writing if it breaks ASSET_SCHEMAS."""
        name = context.asset_key.to_user_string()
        if name in ASSET_SCHEMAS:
            check_all_columns(obj, ASSET_SCHEMAS[name], name)
        self.lake.write(name, obj)
        context.add_output_metadata(
            {
                "dagster/column_schema": column_schema(name, obj.schema),
                "dagster/row_count": dg.MetadataValue.int(obj.height),
                "dagster/uri": without_keys(self.lake.uri(name)),
                "version": self.lake.version(name),
                "size_mib": dg.MetadataValue.float(round(obj.estimated_size("mb"), 2)),
            }
        )

    def load_input(self, context: dg.InputContext) -> pl.DataFrame | pl.LazyFrame:
        """Read the whole table, or scan it if the parameter's type is LazyFrame."""
        name = context.asset_key.to_user_string()
        parameter = context.dagster_type.typing_type
        frame = self.lake.scan(name) if parameter is pl.LazyFrame else self.lake.read(name)
        present = frame.collect_schema().names()
        missing = [column for column in ASSET_SCHEMAS.get(name, {}) if column not in present]
        if missing:
            raise dg.Failure(
                description=f"{name} at {self.lake.uri(name)} has no column {missing[0]}: an "
                f"earlier version wrote it: build everything again, such as with make corpus",
                allow_retries=False,
            )
        return frame
