"""The project that is made slower by a known amount: more units of the same work."""
