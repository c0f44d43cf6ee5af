"""Names the optional libraries: which module belongs to which extra, and what installs it.

Code imports these modules inside functions. A command calls `require` before its work, so that it
does not fail in the middle.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

_MODELS = (
    "accelerate",
    "datasets",
    "gguf",
    "huggingface_hub",
    "psutil",
    "safetensors",
    "sentence_transformers",
    "torch",
    "transformers",
)

#: Modules of each extra of `pyproject.toml`, the smallest extra first.
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "models": _MODELS,
    "train": (*_MODELS, "bitsandbytes", "peft", "trl"),
    "pipeline": (
        "apprise",
        "dagster",
        "dagster_pipes",
        "dagster_webserver",
        "deltalake",
        "pyarrow",
    ),
    "report": ("matplotlib",),
    "llm": ("openai",),
    "ray": ("ray",),
    "postgres": ("dagster_postgres",),
}


class MissingExtraError(RuntimeError):
    """Raised for a library that is not installed; the message is one line with the command."""


def installed(extra: str) -> bool:
    """Return whether every module of an extra can be imported; imports none of them."""
    return all(map(_found, EXTRAS[extra]))


def require(*extras: str) -> None:
    """Raise MissingExtraError when a module of the extras is not installed."""
    lacking = [extra for extra in extras if not installed(extra)]
    if lacking:
        raise MissingExtraError(
            f"libraries of this command are not installed: type {command(*lacking)}"
        )


def explain(error: ModuleNotFoundError) -> MissingExtraError | None:
    """Return the error to show for a module that an extra brings; None for every other module."""
    module = (error.name or "").partition(".")[0]
    for extra, modules in EXTRAS.items():
        if module in modules:
            return MissingExtraError(f"{module} is not installed: type {command(extra)}")
    return None


def command(*extras: str) -> str:
    """Return the command that installs some extras."""
    return f"pip install 'vox-assets[{','.join(extras)}]'"


def _found(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False
