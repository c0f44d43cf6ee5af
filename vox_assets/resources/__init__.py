"""What assets are given: settings, the lake, models, and the way out for alerts.

Typed objects made once when definitions load; assets and checks take them as parameters and
never look for anything themselves.
"""
