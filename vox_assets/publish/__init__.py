"""What a build leaves for people and trainers: datasets, training files, reports and plots."""
