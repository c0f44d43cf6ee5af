"""Collects the tests on external files and programs only if environment variables name them."""

import os

NEEDS = {
    "test_syntax_external.py": ("VOX_REAL_DIR", "VOX_SYNTAX_DIR"),
    "test_compiler_real.py": ("VOX_FRONTEND",),
}

collect_ignore = [
    module for module, names in NEEDS.items() if not any(os.environ.get(name) for name in names)
]
