"""What happens without a click: jobs, the nightly schedule, source sensors and alerts."""
