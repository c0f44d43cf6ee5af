"""Store data: atomic files, locks, Delta tables and content caches."""
