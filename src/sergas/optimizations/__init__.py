"""The four modules whose speed is tracked: pool, cache, parallel processor and query optimizer."""
