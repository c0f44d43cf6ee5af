"""Selects the front end: the compiler of the settings, or the built-in grammar."""

from __future__ import annotations

from pathlib import Path

from vox_assets.settings import Settings
from vox_assets.store.cache import BlobCache
from vox_assets.vox_syntax.compiler import Compiler
from vox_assets.vox_syntax.frontend import BuiltInGrammar, FrontEnd


def front_end(settings: Settings) -> FrontEnd:
    """Create the front end of a build; the compiler's verdicts are cached."""
    verdicts = BlobCache(settings.cache_dir / "verdicts.sqlite", settings.cache_limit)
    return compiler_or_grammar(settings.compiler, settings.search_path, verdicts)


def compiler_or_grammar(
    compiler: Path | None, search_path: str, verdicts: BlobCache | None = None
) -> FrontEnd:
    """Create the front end of `compiler`, or of the built-in grammar when it is None."""
    return BuiltInGrammar() if compiler is None else Compiler(compiler, search_path, verdicts)
