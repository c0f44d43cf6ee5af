"""Tests of vox_assets, in the same folders as the package."""
