"""Tests of vox_assets, laid out as the package is."""
