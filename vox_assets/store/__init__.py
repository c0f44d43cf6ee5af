"""What is written to disk: atomic files, locks, Delta tables and content caches."""
