"""The asv suite: the standard library and sergas only, so that the ruler never changes."""
