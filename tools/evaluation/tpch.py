"""TPC-H for tests and evaluations: data by tpchgen-cli, tables on SQLite and PostgreSQL.

The schema, the row counts and the validation parameters of the queries are those of the TPC-H
specification, revision 3.0.1; the queries are in `tpch_queries.py`. This is no TPC-H benchmark in
the specification's sense: nothing here may be compared with published results.

    python -m tools.evaluation.tpch SCALE FOLDER     # FOLDER/tpch.sqlite3, for a look
"""

import shutil
import sqlite3
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import platformdirs

__all__ = ["KEYS", "TABLES", "TpchError", "generate", "load_postgres", "load_sqlite"]

_VERSION = 1

TABLES: dict[str, tuple[tuple[str, str], ...]] = {
    "region": (("r_regionkey", "i"), ("r_name", "t"), ("r_comment", "t")),
    "nation": (("n_nationkey", "i"), ("n_name", "t"), ("n_regionkey", "i"), ("n_comment", "t")),
    "supplier": (
        ("s_suppkey", "i"), ("s_name", "t"), ("s_address", "t"), ("s_nationkey", "i"),
        ("s_phone", "t"), ("s_acctbal", "n"), ("s_comment", "t"),
    ),
    "part": (
        ("p_partkey", "i"), ("p_name", "t"), ("p_mfgr", "t"), ("p_brand", "t"), ("p_type", "t"),
        ("p_size", "i"), ("p_container", "t"), ("p_retailprice", "n"), ("p_comment", "t"),
    ),
    "partsupp": (
        ("ps_partkey", "i"), ("ps_suppkey", "i"), ("ps_availqty", "i"), ("ps_supplycost", "n"),
        ("ps_comment", "t"),
    ),
    "customer": (
        ("c_custkey", "i"), ("c_name", "t"), ("c_address", "t"), ("c_nationkey", "i"),
        ("c_phone", "t"), ("c_acctbal", "n"), ("c_mktsegment", "t"), ("c_comment", "t"),
    ),
    "orders": (
        ("o_orderkey", "i"), ("o_custkey", "i"), ("o_orderstatus", "t"), ("o_totalprice", "n"),
        ("o_orderdate", "d"), ("o_orderpriority", "t"), ("o_clerk", "t"), ("o_shippriority", "i"),
        ("o_comment", "t"),
    ),
    "lineitem": (
        ("l_orderkey", "i"), ("l_partkey", "i"), ("l_suppkey", "i"), ("l_linenumber", "i"),
        ("l_quantity", "n"), ("l_extendedprice", "n"), ("l_discount", "n"), ("l_tax", "n"),
        ("l_returnflag", "t"), ("l_linestatus", "t"), ("l_shipdate", "d"), ("l_commitdate", "d"),
        ("l_receiptdate", "d"), ("l_shipinstruct", "t"), ("l_shipmode", "t"), ("l_comment", "t"),
    ),
}  # fmt: skip
"""Columns of each table with their kind: integer, numeric, date or text."""

KEYS = {
    "region": ("r_regionkey",),
    "nation": ("n_nationkey",),
    "supplier": ("s_suppkey",),
    "part": ("p_partkey",),
    "partsupp": ("ps_partkey", "ps_suppkey"),
    "customer": ("c_custkey",),
    "orders": ("o_orderkey",),
    "lineitem": ("l_orderkey", "l_linenumber"),
}
_POSTGRES = {"i": "bigint", "n": "numeric(15, 2)", "d": "date", "t": "text"}
_SQLITE = {"i": "INTEGER", "n": "REAL", "d": "TEXT", "t": "TEXT"}


class TpchError(Exception):
    """The data cannot be made."""


def generate(scale: float, folder: Path | None = None) -> Path:
    """The folder with a `.tbl` file for each table, made once and kept in the user's cache.

    Args:
        scale: 1 is about 1 GB of text, with 6 million rows in lineitem.
        folder: Where to keep it; None means the user's cache folder.

    Raises:
        TpchError: If tpchgen-cli is not installed or fails.
    """
    kept = folder or platformdirs.user_cache_path("groundspeed") / "tpch"
    target = kept / f"v{_VERSION}-{scale:g}"
    if target.is_dir():
        return target
    program = shutil.which("tpchgen-cli", path=sysconfig.get_path("scripts")) or shutil.which(
        "tpchgen-cli"
    )
    if program is None:
        raise TpchError('tpchgen-cli is not installed; run: pip install "groundspeed[test]"')
    draft = kept / f"{target.name}.{_random_name()}.part"
    draft.mkdir(parents=True)
    try:
        command = [program, "--scale-factor", f"{scale:g}", "--output-dir", str(draft)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise TpchError(f"tpchgen-cli failed: {done.stderr.strip()}")
        try:
            draft.rename(target)
        except OSError:
            if not target.is_dir():  # another process was faster
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def _random_name() -> str:
    import uuid

    return uuid.uuid4().hex


def load_sqlite(connection: sqlite3.Connection, data: Path) -> None:
    """Make the tables with primary keys only, fill and ANALYZE them; dates are text."""
    for table, columns in TABLES.items():
        connection.execute(_create(table, _SQLITE))
        marks = ", ".join("?" * len(columns))
        rows = _rows(data / f"{table}.tbl", len(columns))
        connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608 - ours
    connection.execute("ANALYZE")
    connection.commit()


def load_postgres(connection: Any, data: Path) -> None:
    """The same on a psycopg connection, by COPY."""
    with connection.cursor() as cursor:
        for table, columns in TABLES.items():
            cursor.execute(_create(table, _POSTGRES))
            names = ", ".join(name for name, _ in columns)
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN (DELIMITER '|')") as copy:
                for block in _without_last_bar(data / f"{table}.tbl"):
                    copy.write(block)
    # A larger sample than usual: with 100, costs of the same advice differ by a percent from one
    # ANALYZE to the next.
    connection.execute("SET default_statistics_target = 1000")
    connection.execute("ANALYZE")
    connection.commit()


def _create(table: str, types: dict[str, str]) -> str:
    columns = ", ".join(f"{name} {types[kind]} NOT NULL" for name, kind in TABLES[table])
    return f"CREATE TABLE {table} ({columns}, PRIMARY KEY ({', '.join(KEYS[table])}))"


def _rows(path: Path, width: int) -> Iterator[list[str]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield line.split("|")[:width]


def _without_last_bar(path: Path) -> Iterator[str]:
    """Each line ends with a bar that COPY would take for one more column."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield line[:-2] + "\n"


def main(arguments: list[str]) -> int:
    """Write a SQLite database; returns the exit code."""
    if len(arguments) != 2:  # noqa: PLR2004 - scale and folder
        print("usage: python -m tools.evaluation.tpch SCALE FOLDER", file=sys.stderr)
        return 2
    path = Path(arguments[1]) / "tpch.sqlite3"
    connection = sqlite3.connect(path)
    load_sqlite(connection, generate(float(arguments[0])))
    connection.close()
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
