"""How many units of work each row does: the one file in which the commits differ.

Multiples of 100 where a commit makes the row slower, so that 2, 3, 5 and 20 % are whole units.
"""

ARITHMETIC_UNITS = 40
COLLATZ_UNITS = 20
PARSE_UNITS = 100
MATCH_UNITS = 40
FORMAT_UNITS = 40
COUNT_UNITS = 10
LOOKUP_UNITS = 200
ENCODE_UNITS = 100
DECODE_UNITS = 20
SORT_UNITS = 4
MERGE_UNITS = 2
CREATE_UNITS = 100
GENERATE_UNITS = 20
QUERY_UNITS = 10
AGGREGATE_UNITS = 2
