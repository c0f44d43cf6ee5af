"""Dialogues and unit-test tasks from live Rust rows."""
