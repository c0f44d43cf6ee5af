"""Exports the definitions that `dagster` and `dg` load; `pipeline.wiring` builds them."""

from vox_assets.pipeline.wiring import build_defs, defs

__all__ = ["build_defs", "defs"]
