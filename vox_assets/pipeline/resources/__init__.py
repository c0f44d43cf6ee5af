"""Resources of assets: IO manager, build lock, models, engine, front end, notifier.

`pipeline.wiring` creates them once when the definitions load. Assets and checks receive them as
parameters.
"""
