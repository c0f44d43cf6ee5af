"""Creates the resources of the code location, with what the UI shows of each.

Dagster shows the Python name of the function that provides a resource, and its configuration. A
resource that is passed as an object has neither, so every object gets a description and the
settings that it was made of. A run that replaces one of them fails.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import dagster as dg

from vox_assets.compute.models import MINILM_NAME, SMOLLM2_NAME
from vox_assets.pipeline.resources.build_lock import lake_io_manager
from vox_assets.pipeline.resources.engine import engine
from vox_assets.pipeline.resources.frontend import front_end
from vox_assets.pipeline.resources.model_set import Models
from vox_assets.pipeline.resources.notifier import Notifier
from vox_assets.pipeline.resources.shown import described
from vox_assets.settings import Settings, in_effect
from vox_assets.store.lake import Lake, without_keys

_NONE = "not configured"


def resource_definitions(
    settings: Settings,
    around_run: Callable[[dg.InitResourceContext], AbstractContextManager[None]],
) -> dict[str, dg.ResourceDefinition]:
    """Create the resources by name. No key, token or password is shown.

    `around_run` surrounds the time in which a run has the build lock.
    """
    in_use = in_effect(settings)
    remote = settings.language_model
    channels = len(settings.alert_urls)
    return {
        "settings": described(
            settings,
            "The environment variables, read once when the code location loads. "
            "The README explains each.",
            {name: f"{entry['value'] or _NONE} ({entry['from']})" for name, entry in in_use.items()}
            | {"profile_digest": settings.profile.digest},
        ),
        "lake": described(
            Lake(settings.lake_uri),
            "Reads and writes the Delta tables, one version per build.",
            {"root": without_keys(settings.lake_uri)},
        ),
        "models": described(
            Models(settings),
            "The models of the deployment, each loaded at its first use, and the caches of their "
            "results.",
            {
                "base_model": settings.base_model or f"{SMOLLM2_NAME} (packaged)",
                "embedding_model": settings.embedding_model or f"{MINILM_NAME} (packaged)",
                "language_model": f"{remote.name} at {remote.base_url}" if remote else _NONE,
                "reward_model": settings.reward_model or _NONE,
                "cache": str(settings.cache_dir),
            },
        ),
        "engine": described(
            engine(settings),
            "Runs heavy steps on this machine or on a Ray cluster.",
            {"address": settings.ray_address or "this machine"},
        ),
        "front_end": described(
            front_end(settings),
            "Checks Vox code: the compiler of the settings, or the built-in grammar.",
            {"program": str(settings.compiler or "built-in grammar")},
        ),
        "notifier": described(
            Notifier(settings.alert_urls),
            "Sends alerts through Apprise. The URLs may hold tokens and are not shown.",
            {"channels": str(channels), "links": settings.ui_url},
        ),
        "io_manager": lake_io_manager(settings, around_run),
        "pipes": described(
            dg.PipesSubprocessClient(),
            "Starts the training program in a process of its own and receives its reports.",
            {},
        ),
    }
