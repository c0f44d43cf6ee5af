"""Labelled texts for the detection of secrets: made-up secrets, and harmless texts that look alike.

`tuning` was read while the detection was written. `measured` was written and committed before the
detection, and is only measured: a change that makes the detection better on it alone is no
improvement. No file contains a secret in one piece: random parts are drawn when the module loads.
"""
