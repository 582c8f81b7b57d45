"""What `groundspeed selftest` measures: a small project and its benchmarks, copied for each side.

Nothing here is imported by groundspeed itself.
"""
