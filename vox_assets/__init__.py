"""vox-assets: live sources become a curated corpus, and the corpus a proven adapter."""
