"""Resources of assets: the lake, models, the compute engine, the front end, the notifier.

Wiring creates them once when definitions load; assets and checks take them as parameters.
"""
