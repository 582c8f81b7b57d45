"""The made-up rows of an account, the same for the same seed and number on every machine.

The mix is that of the service's own fixtures: of ten accounts three are healthy, three at risk, two
of high value and two growing, each with its own count of deals and interactions and with ninety
days of product usage. Companies, owners and texts are put together from word lists.
"""

from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

import msgspec

__all__ = ["COLUMNS", "PROFILES", "Block", "Profile", "owner_rows", "rows_of"]

Row: TypeAlias = tuple[Any, ...]

_DAY_US = 86_400 * 10**6
_USAGE_DAYS = 90
_ACTIVITY_IDS = 1024  # of each account; it has 135 at most

COLUMNS: dict[str, tuple[str, ...]] = {
    "owners": ("id", "name", "email"),
    "accounts": (
        *("id", "name", "owner_id", "number", "type", "status", "email", "email_secondary"),
        *("phone", "website", "billing_address", "shipping_address", "annual_revenue"),
        *("credit_limit", "payment_terms", "currency", "industry", "employee_count", "tax_id"),
        *("parent_account_id", "rating", "health_score", "churn_risk", "risk_level", "nps"),
        *("tags", "custom_fields", "last_activity_at", "last_synced_at", "created_at"),
        *("updated_at", "version"),
    ),
    "deals": (
        *("id", "account_id", "name", "amount", "stage", "probability", "type", "lead_source"),
        *("loss_reason", "owner_id", "created_at", "closing_at"),
    ),
    "activities": (
        *("id", "account_id", "type", "status", "subject", "body", "created_by", "created_at"),
        *("logins", "unique_users", "session_minutes", "api_calls", "errors"),
    ),
    "recommendations": (
        *("id", "account_id", "type", "priority", "confidence", "action", "rationale", "status"),
        *("approved_by", "approved_at", "created_at"),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A kind of account.

    Attributes:
        name: What it is called.
        interactions: How many emails, calls, meetings and tickets.
        deals: Least and most open, won and lost deals.
        health: Least and most of the health score.
        churn: Least and most of the churn risk.
        revenue: Least and most of the yearly revenue, in thousands.
        quiet_days: Least and most days since something happened.
        tickets_open: Share of its tickets that are open.
    """

    name: str
    interactions: tuple[int, int, int, int]
    deals: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    health: tuple[int, int]
    churn: tuple[int, int]
    revenue: tuple[int, int]
    quiet_days: tuple[int, int]
    tickets_open: float


_HEALTHY = Profile(
    name="healthy",
    interactions=(10, 8, 5, 2),
    deals=((2, 4), (3, 6), (1, 2)),
    health=(70, 95),
    churn=(0, 25),
    revenue=(1_000, 30_000),
    quiet_days=(0, 14),
    tickets_open=0.2,
)
_AT_RISK = Profile(
    name="at_risk",
    interactions=(3, 2, 1, 8),
    deals=((0, 0), (1, 3), (2, 4)),
    health=(10, 45),
    churn=(55, 98),
    revenue=(100, 20_000),
    quiet_days=(45, 120),
    tickets_open=0.6,
)
_HIGH_VALUE = Profile(
    name="high_value",
    interactions=(20, 15, 8, 1),
    deals=((5, 10), (8, 15), (0, 2)),
    health=(75, 100),
    churn=(0, 20),
    revenue=(30_000, 100_000),
    quiet_days=(0, 5),
    tickets_open=0.1,
)
_GROWTH = Profile(
    name="growth",
    interactions=(12, 10, 6, 3),
    deals=((2, 5), (2, 5), (1, 3)),
    health=(55, 90),
    churn=(5, 40),
    revenue=(500, 10_000),
    quiet_days=(0, 20),
    tickets_open=0.3,
)
PROFILES: tuple[Profile, ...] = (
    *[_HEALTHY] * 3,
    *[_AT_RISK] * 3,
    *[_HIGH_VALUE] * 2,
    *[_GROWTH] * 2,
)
"""Ten profiles: account number n has the one at n % 10."""

_FIRST = [
    "Alder",
    "Basalt",
    "Cedar",
    "Delta",
    "Ember",
    "Flint",
    "Granite",
    "Harbor",
    "Indigo",
    "Juniper",
    "Kestrel",
    "Lumen",
]
_SECOND = [
    "bridge",
    "craft",
    "field",
    "forge",
    "gate",
    "grove",
    "line",
    "mark",
    "point",
    "stone",
    "ware",
    "works",
]
_FORMS = ("AG", "GmbH", "Inc", "Ltd", "SA", "SE")
_INDUSTRIES = [
    "agriculture",
    "automotive",
    "banking",
    "chemicals",
    "education",
    "energy",
    "healthcare",
    "insurance",
    "logistics",
    "manufacturing",
    "retail",
    "software",
]
_CITIES = (
    ("Berlin", "BE", "DE"),
    ("Lyon", "ARA", "FR"),
    ("Austin", "TX", "US"),
    ("Leeds", "ENG", "GB"),
    ("Turin", "PIE", "IT"),
    ("Ghent", "VOV", "BE"),
)
_TYPES = ("customer", "customer", "customer", "partner", "vendor", "prospect")
_TAGS = ("strategic", "renewal", "pilot", "reference", "expansion", "support")
_TOPICS = [
    "renewal",
    "pricing",
    "onboarding",
    "integration",
    "security",
    "training",
    "migration",
    "reporting",
    "invoicing",
    "roadmap",
    "outage",
    "upgrade",
    "contract",
    "adoption",
    "dashboard",
    "permissions",
]
_VERBS = [
    "discussed",
    "reviewed",
    "planned",
    "escalated",
    "resolved",
    "confirmed",
    "postponed",
    "requested",
]
_DETAILS = (
    "the open points and who owns them",
    "next steps with the project lead",
    "the timeline for the coming quarter",
    "what the team needs before going live",
    "numbers from the last review",
    "two blockers and a workaround",
)
_KINDS = ("email", "call", "meeting", "ticket")
_OPEN_STAGES = {
    "qualification": (10, 25),
    "needs_analysis": (25, 40),
    "proposal": (40, 60),
    "negotiation": (60, 90),
}
_DEAL_TYPES = ("new_business", "upsell", "renewal", "cross_sell", "expansion")
_SOURCES = ("web", "referral", "partner", "event", "outbound")
_LOSSES = ("price", "competitor", "no_decision", "timing", "missing_feature")
_ADVICE = (
    ("retention", "Call the owner of the contract", "Quiet for weeks with open tickets."),
    ("expansion", "Offer the next tier", "Usage has grown for three months."),
    ("renewal", "Start the renewal talks", "The term ends within the quarter."),
    ("support", "Review the open tickets", "Several have waited longer than agreed."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Some accounts in a row: those with numbers from `start` up to `stop`, without it.

    Attributes:
        start: The first number.
        stop: The number after the last.
        seed: Chooses the rows.
        owners: How many owners there are.
        as_of_us: The day the rows are told from, in microseconds since 1970.
    """

    start: int
    stop: int
    seed: int
    owners: int
    as_of_us: int


def owner_rows(owners: int) -> list[Row]:
    """The owners, numbered from 1."""
    return [(_owner_id(n), f"Owner {n + 1}", f"owner{n + 1}@example.com") for n in range(owners)]


def rows_of(block: Block) -> dict[str, list[Row]]:
    """The rows of a block's accounts, by table; times in microseconds, lists as JSON."""
    rows: dict[str, list[Row]] = {
        name: [] for name in ("accounts", "deals", "activities", "recommendations")
    }
    for number in range(block.start, block.stop):
        chance = Random(f"{block.seed}/{number}")  # noqa: S311 rows to test with, not secrets
        _add_account(rows, number, chance, block)
    return rows


def _add_account(rows: dict[str, list[Row]], number: int, chance: Random, block: Block) -> None:
    profile = PROFILES[number % len(PROFILES)]
    account_id = f"acc_{number:06d}"
    owner_id = _owner_id(chance.randrange(block.owners))
    quiet_us = int(chance.uniform(*profile.quiet_days) * _DAY_US)
    last_us = block.as_of_us - quiet_us
    rows["accounts"].append(
        _account_row(number, account_id, owner_id, last_us, profile, chance, block.as_of_us)
    )
    rows["deals"].extend(_deal_rows(account_id, owner_id, profile, chance, block.as_of_us))
    first_id = number * _ACTIVITY_IDS
    texts = _text_rows(account_id, owner_id, profile, chance, last_us, first_id)
    rows["activities"].extend(texts)
    rows["activities"].extend(
        _usage_rows(account_id, profile, chance, block.as_of_us, first_id + len(texts))
    )
    rows["recommendations"].extend(_recommendation_rows(account_id, owner_id, chance, last_us))


def _account_row(  # noqa: PLR0913, PLR0917 the parts of one row
    number: int,
    account_id: str,
    owner_id: str,
    last_us: int,
    profile: Profile,
    chance: Random,
    as_of_us: int,
) -> Row:
    name = f"{chance.choice(_FIRST)}{chance.choice(_SECOND)} {chance.choice(_FORMS)} {number}"
    host = f"account{number}.example"
    churn = chance.randint(*profile.churn)
    created_us = as_of_us - chance.randrange(200, 2000) * _DAY_US
    updated_us = last_us - chance.randrange(3600) * 10**6
    # One in ten has changed since the outer system had it.
    synced_us = updated_us + (-1 if chance.random() < 0.1 else 1) * 10**6  # noqa: PLR2004
    address = _address(number, chance)
    return (
        account_id,
        name,
        owner_id,
        f"A-{number:06d}",
        chance.choice(_TYPES),
        _status(chance),
        f"office@{host}",
        None,
        f"+49 30 {number:07d}",
        f"https://{host}",
        address,
        address,
        chance.randint(*profile.revenue) * 1000,
        chance.randrange(10, 500) * 1000,
        chance.choice(("net_30", "net_60", "prepaid")),
        chance.choice(("EUR", "EUR", "USD", "GBP")),
        chance.choice(_INDUSTRIES),
        chance.randrange(5, 20_000),
        f"T{number:09d}",
        f"acc_{chance.randrange(number):06d}" if number and number % 20 == 0 else None,
        chance.choice(("hot", "warm", "cold")),
        chance.randint(*profile.health),
        churn,
        ("low", "medium", "high", "critical")[min(churn // 25, 3)],
        chance.randrange(-50, 80),
        msgspec.json.encode([profile.name, chance.choice(_TAGS)]).decode(),
        msgspec.json.encode({"profile": profile.name, "seats": chance.randrange(1, 500)}).decode(),
        last_us,
        synced_us,
        created_us,
        updated_us,
        1,
    )


def _status(chance: Random) -> str:
    if chance.random() < 0.85:  # noqa: PLR2004 most are
        return "active"
    return chance.choice(("inactive", "pending", "suspended"))


def _address(number: int, chance: Random) -> str:
    city, state, country = chance.choice(_CITIES)
    parts = {
        "street": f"{number % 200 + 1} {chance.choice(_FIRST)} Street",
        "city": city,
        "state": state,
        "postal_code": f"{10_000 + number % 80_000}",
        "country": country,
    }
    return msgspec.json.encode(parts).decode()


def _deal_rows(
    account_id: str, owner_id: str, profile: Profile, chance: Random, as_of_us: int
) -> list[Row]:
    kinds = []
    for kind, (least, most) in zip(("open", "won", "lost"), profile.deals, strict=True):
        kinds += [kind] * chance.randint(least, most)
    rows = []
    for place, kind in enumerate(kinds):
        stage, probability, loss = _stage(kind, chance)
        age_days = chance.randrange(5, 120) if kind == "open" else chance.randrange(150, 700)
        created_us = as_of_us - age_days * _DAY_US
        closing_us = created_us + chance.randrange(20, 140) * _DAY_US
        rows.append(
            (
                f"deal_{account_id[4:]}_{place:02d}",
                account_id,
                f"{chance.choice(_TOPICS)} {place + 1}",
                chance.randrange(50, 2000) * 1000,
                stage,
                probability,
                chance.choice(_DEAL_TYPES),
                chance.choice(_SOURCES),
                loss,
                owner_id,
                created_us,
                closing_us,
            )
        )
    return rows


def _stage(kind: str, chance: Random) -> tuple[str, int, str | None]:
    if kind == "won":
        return "closed_won", 100, None
    if kind == "lost":
        return "closed_lost", 0, chance.choice(_LOSSES)
    stage = chance.choice(tuple(_OPEN_STAGES))
    return stage, chance.randint(*_OPEN_STAGES[stage]), None


def _text_rows(
    account_id: str,
    owner_id: str,
    profile: Profile,
    chance: Random,
    last_us: int,
    first_id: int,
) -> list[Row]:
    """Emails, calls, meetings and tickets; the newest is when the account was last active."""
    rows: list[Row] = []
    at_us = last_us
    kinds = [k for k, n in zip(_KINDS, profile.interactions, strict=True) for _ in range(n)]
    chance.shuffle(kinds)
    for place, kind in enumerate(kinds):
        topic = chance.choice(_TOPICS)
        is_open = kind == "ticket" and chance.random() < profile.tickets_open
        body = f"We {chance.choice(_VERBS)} {topic}: {chance.choice(_DETAILS)}."
        rows.append(
            (
                first_id + place,
                account_id,
                kind,
                "open" if is_open else "closed",
                f"{kind} about {topic}",
                body,
                owner_id,
                at_us,
                *(None,) * 5,
            )
        )
        at_us -= chance.randrange(_DAY_US // 4, 9 * _DAY_US)
    return rows


def _usage_rows(
    account_id: str, profile: Profile, chance: Random, as_of_us: int, first_id: int
) -> list[Row]:
    """A row a day, the last one for the day before."""
    size = 2 + profile.health[1] // 4
    draw = chance.random
    rows: list[Row] = []
    for day in range(_USAGE_DAYS):
        level = draw() + 0.2
        rows.append(
            (
                first_id + day,
                account_id,
                "product_usage",
                "closed",
                "",
                "",
                "system",
                as_of_us - (_USAGE_DAYS - day) * _DAY_US,
                int(size * level * 2),
                int(size * level) + 1,
                int(size * level * 40),
                int(size * level * 300),
                int(draw() * 6),
            )
        )
    return rows


def _recommendation_rows(account_id: str, owner_id: str, chance: Random, last_us: int) -> list[Row]:
    rows = []
    for place in range(chance.randrange(4)):
        kind, action, rationale = chance.choice(_ADVICE)
        is_decided = chance.random() < 0.5  # noqa: PLR2004
        at_us = last_us - place * _DAY_US
        rows.append(
            (
                f"rec_{account_id[4:]}_{place}",
                account_id,
                kind,
                chance.choice(("low", "medium", "high")),
                round(0.5 + chance.random() / 2, 2),
                action,
                rationale,
                "approved" if is_decided else "pending",
                owner_id if is_decided else None,
                at_us if is_decided else None,
                at_us,
            )
        )
    return rows


def _owner_id(number: int) -> str:
    return f"own_{number + 1:03d}"
