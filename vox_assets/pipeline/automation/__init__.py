"""Automation: jobs, the nightly schedule, source sensors, alerts, retention."""
