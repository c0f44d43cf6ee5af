"""The assets: each reads its inputs, calls one pure function and attaches what it measured."""
