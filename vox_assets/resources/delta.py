"""The IO manager itself: an asset's value is a Delta table in the lake, one version per build."""

from __future__ import annotations

from typing import Any, ClassVar

import dagster as dg
import polars as pl
from dagster_polars import PolarsDeltaIOManager
from dagster_polars.io_managers.utils import get_metadata_schema


class LakeIOManager(PolarsDeltaIOManager):
    """dagster-polars' Delta IO manager, without its file ending and its statistics.

    Those compute minima and maxima over text and put whole rows into the event log; what a
    maintainer wants to see of a table, the asset itself attaches.
    """

    extension: ClassVar[str] = ""  # type: ignore[misc]

    def get_metadata(
        self, context: dg.OutputContext, obj: pl.DataFrame | pl.LazyFrame | None
    ) -> dict[str, Any]:
        if not isinstance(obj, pl.DataFrame):
            return super().get_metadata(context, obj)
        return {
            "dagster/column_schema": get_metadata_schema(obj),
            "dagster/row_count": dg.MetadataValue.int(obj.height),
            "size_mib": dg.MetadataValue.float(round(obj.estimated_size("mb"), 2)),
        }
