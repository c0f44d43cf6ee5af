"""vox-assets: live sources become a curated corpus, and the corpus a proven adapter."""


def __getattr__(name: str) -> str:
    """Look up `__version__` when it is asked for: reading package metadata takes 20 ms."""
    if name == "__version__":
        from importlib.metadata import version

        return version("vox-assets")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
