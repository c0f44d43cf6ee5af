"""A built-in grammar for the Vox language, used to gate training data.

This module exports the public names. `check` returns the diagnostics of a text, `parse` its tree,
`constructs` and `declarations` its contents. `frontend` and `compiler` decide whether this grammar
or the real compiler checks training data.
"""

from vox_assets.vox_syntax.builtin import check, parse
from vox_assets.vox_syntax.constructs import CONSTRUCTS, Declaration, constructs, declarations
from vox_assets.vox_syntax.diagnostics import Diagnostic, VoxSyntaxError

__all__ = [
    "CONSTRUCTS",
    "Declaration",
    "Diagnostic",
    "VoxSyntaxError",
    "check",
    "constructs",
    "declarations",
    "parse",
]
