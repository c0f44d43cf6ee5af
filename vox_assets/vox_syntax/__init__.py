"""A built-in grammar for the Vox language, used to gate training data.

What belongs here: the public names, and nothing else. `check` judges a text, `parse` gives its
tree, `constructs` and `declarations` say what a program contains. Whether this grammar or the real
compiler judges training data is the business of `frontend` and `compiler`.
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
