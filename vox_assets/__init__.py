"""vox-assets: a live Rust workspace and its documentation become a curated corpus and a proven adapter."""
