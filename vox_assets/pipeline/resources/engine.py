"""Selects the engine that runs heavy steps: this machine or the Ray cluster of the settings."""

from __future__ import annotations

from vox_assets.compute.batches import HERE, Engine
from vox_assets.compute.ray_data import RayData
from vox_assets.settings import Settings


def engine(settings: Settings) -> Engine:
    """Return the Ray cluster of the settings, joined at its first batch; without one, `HERE`."""
    return HERE if settings.ray_address is None else RayData(settings.ray_address)
