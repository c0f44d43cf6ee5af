"""What assets are given: the lake, models, the compute engine, the front end and the notifier.

Wiring creates them once when definitions load; assets and checks take them as parameters.
"""
