"""Selects the front end: the profile's, or the Vox compiler or grammar of the settings."""

from __future__ import annotations

from pathlib import Path

from vox_assets.profiles import Command, Grammar
from vox_assets.settings import Settings
from vox_assets.store.cache import BlobCache
from vox_assets.vox_syntax.compiler import Compiler
from vox_assets.vox_syntax.frontend import BuiltInGrammar, FrontEnd
from vox_assets.vox_syntax.other_languages import Program, TreeSitter, Unchecked


def front_end(settings: Settings) -> FrontEnd:
    """Create the front end of a build; the verdicts of a program are cached."""
    verdicts = BlobCache(settings.cache_dir / "verdicts.sqlite", settings.cache_limit)
    match settings.profile.frontend:
        case Grammar(grammar=module):
            return TreeSitter(module)
        case Command(command=command, extension=extension):
            return Program(command, extension, settings.search_path, verdicts)
        case "none":
            return Unchecked()
        case _:
            return compiler_or_grammar(settings.compiler, settings.search_path, verdicts)


def compiler_or_grammar(
    compiler: Path | None, search_path: str, verdicts: BlobCache | None = None
) -> FrontEnd:
    """Create the front end of `compiler`, or of the built-in grammar when it is None."""
    return BuiltInGrammar() if compiler is None else Compiler(compiler, search_path, verdicts)
