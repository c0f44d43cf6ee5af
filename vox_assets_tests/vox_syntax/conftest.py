"""Collect the tests over other people's Vox files only where their folders are named."""

import os

FOLDERS = ("VOX_REAL_DIR", "VOX_SYNTAX_DIR")

collect_ignore = (
    [] if any(os.environ.get(name) for name in FOLDERS) else ["test_syntax_external.py"]
)
