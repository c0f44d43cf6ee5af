"""Vox programs, repairs, dialogues and tasks from templates and from live code."""
