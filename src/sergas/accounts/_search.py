"""Full text over what people wrote: SQLite's FTS5 and PostgreSQL's tsvector."""

import re
from typing import Any

from sergas.accounts._dialect import Dialect
from sergas.accounts._rows import ACTIVITY_COLUMNS, activity_of, listed
from sergas.accounts.model import SearchHit

__all__ = ["WORDS_MAX", "search", "words"]

WORDS_MAX = 16
# What both databases' tokenizers take for letters of a word, whatever else they disagree about.
_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """The words to look for, each once: letters and digits, without anything that is syntax."""
    return list(dict.fromkeys(_WORD.findall(text.lower())))[:WORDS_MAX]


def search(
    connection: Any, dialect: Dialect, text: str, account_id: str | None, limit: int
) -> list[SearchHit]:
    """Activities with every word, newest first."""
    wanted = words(text)
    if not wanted:
        return []
    if dialect.name == "sqlite":
        matches = (
            "activities.id IN (SELECT rowid FROM activity_search WHERE activity_search MATCH :text)"
        )
        asked = " ".join(f'"{word}"' for word in wanted)
    else:
        matches = (
            "activities.type <> 'product_usage' AND to_tsvector('simple', activities.subject || ' '"
            " || activities.body) @@ plainto_tsquery('simple', :text)"
        )
        asked = " ".join(wanted)
    also = "" if account_id is None else " AND activities.account_id = :account_id"
    sql = dialect.sql(
        f"SELECT accounts.name, {listed(ACTIVITY_COLUMNS, 'activities')} FROM activities"  # noqa: S608 fixed words
        f" JOIN accounts ON accounts.id = activities.account_id WHERE {matches}{also}"
        " ORDER BY activities.created_at DESC, activities.id DESC LIMIT :limit"
    )
    parameters = {"text": asked, "limit": limit}
    if account_id is not None:
        parameters["account_id"] = account_id
    rows = connection.execute(sql, parameters).fetchall()
    return [SearchHit(account_name=name, activity=activity_of(row, dialect)) for name, *row in rows]
