"""Storage: atomic files, locks, Delta tables and content caches."""
