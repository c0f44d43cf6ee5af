"""The IO manager itself: an asset's value is a Delta table in the lake, one version per build."""

from __future__ import annotations

import dagster as dg
import polars as pl

from vox_assets.store.lake import Lake


def column_schema(frame: pl.DataFrame) -> dg.TableSchema:
    """The columns of a table and their types, as the UI shows them."""
    return dg.TableSchema([dg.TableColumn(n, str(dtype)) for n, dtype in frame.schema.items()])


class LakeIOManager(dg.IOManager):
    """Hands tables from asset to asset through the lake.

    The IO manager of dagster-polars computes minima and maxima over text, puts whole rows into the
    event log and needs a second client for object stores. What a maintainer wants to see of a
    table, the asset itself attaches.
    """

    def __init__(self, lake: Lake) -> None:
        self.lake = lake

    def handle_output(self, context: dg.OutputContext, obj: pl.DataFrame) -> None:
        name = context.asset_key.to_user_string()
        self.lake.write(name, obj)
        context.add_output_metadata(
            {
                "dagster/column_schema": column_schema(obj),
                "dagster/row_count": dg.MetadataValue.int(obj.height),
                "dagster/uri": self.lake.uri(name),
                "version": self.lake.version(name),
                "size_mib": dg.MetadataValue.float(round(obj.estimated_size("mb"), 2)),
            }
        )

    def load_input(self, context: dg.InputContext) -> pl.DataFrame | pl.LazyFrame:
        """The whole table, or, where the step asks for a lazy one, what it will ask of it."""
        name = context.asset_key.to_user_string()
        wanted = context.dagster_type.typing_type
        return self.lake.scan(name) if wanted is pl.LazyFrame else self.lake.read(name)
