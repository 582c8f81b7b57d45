"""Settings are read from the environment, and what means nothing is told by its name."""

import pytest

from sergas.errors import SettingsError
from sergas.settings import DEFAULT_DATABASE, Settings, database_kind, without_password

SECRET = {"SERGAS_SECRET": "s" * 32}


def test_the_defaults_need_a_secret_only() -> None:
    """It is never shown."""
    settings = Settings.from_environment(SECRET)
    assert (settings.database_url, settings.redis_url) == (DEFAULT_DATABASE, None)
    assert "s" * 32 not in repr(settings)
    with pytest.raises(SettingsError, match="SERGAS_SECRET: got 0 bytes, needed 32"):
        Settings.from_environment({})


def test_the_own_variables_come_before_the_common_ones() -> None:
    """So that a developer's DATABASE_URL can stay as it is."""
    given = SECRET | {
        "DATABASE_URL": "sqlite:///a",
        "SERGAS_PG_DSN": "postgresql://h/b",
        "REDIS_URL": "redis://h",
        "SERGAS_API_KEYS": "one:0123456789abcdef, two:fedcba9876543210,",
        "SERGAS_CACHE": "0",
        "SERGAS_RATE": "1.5",
    }
    settings = Settings.from_environment(given)
    assert settings.database_url == "postgresql://h/b"
    assert settings.redis_url == "redis://h"
    assert settings.api_keys == {"0123456789abcdef": "one", "fedcba9876543210": "two"}
    assert (settings.has_cache, settings.rate_per_s) == (False, 1.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SERGAS_THREADS", "0"),
        ("SERGAS_THREADS", "1.5"),
        ("SERGAS_THREADS", "many"),
        ("SERGAS_RATE", "0"),
        ("SERGAS_RATE", "nan"),
        ("SERGAS_API_KEYS", "key-without-a-name"),
        ("SERGAS_API_KEYS", "name:short"),
        ("DATABASE_URL", "mysql://h/b"),
        ("DATABASE_URL", "file.db"),
    ],
)
def test_what_means_nothing_is_told(name: str, value: str) -> None:
    """By its name, and what was needed."""
    with pytest.raises(SettingsError, match=r"needed|with a key of"):
        Settings.from_environment(SECRET | {name: value})


def test_a_url_is_shown_without_its_password() -> None:
    """Nor its parameters, which may hold one."""
    url = "postgresql://me:secret@host:5/name?password=secret"
    assert without_password(url) == "postgresql://host:5/name"
    assert without_password("sqlite:///a.db") == "sqlite:///a.db"
    assert database_kind("postgres://h/n") == "postgres"
