"""Runs `vox-assets` as `python -m vox_assets.cli`."""

import sys

from vox_assets.cli import main

sys.exit(main())
