"""The code location that `dagster` and `dg` load; `pipeline.wiring` builds it."""

from vox_assets.pipeline.wiring import build_defs, defs

__all__ = ["build_defs", "defs"]
