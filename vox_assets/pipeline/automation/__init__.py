"""What runs without a click: jobs, the nightly schedule, source sensors, alerts, retention."""
