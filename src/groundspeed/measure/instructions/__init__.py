"""How many instructions a call executes, counted by valgrind.

A launch pair is started under callgrind, so base and candidate are forks of one interpreter here,
too, with one hash seed and one layout. valgrind follows a fork: each row's process counts for
itself, and only between two marks (`inside.marks`), so that start-up, imports and setup cost time
but are not counted.
"""

from groundspeed.measure.instructions.counting import Counts, count
from groundspeed.measure.instructions.valgrind import counting_launcher, find_valgrind

__all__ = ["Counts", "count", "counting_launcher", "find_valgrind"]
