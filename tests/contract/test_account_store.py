"""What every store of accounts promises, on SQLite, PostgreSQL and over partitions of both."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sergas.accounts import (
    AccountChange,
    AccountFilter,
    AccountPatch,
    AccountStore,
    Address,
    NewAccount,
    NewActivity,
    PostgresStore,
    SqliteStore,
)
from sergas.accounts.briefs import brief_step_by_step
from sergas.accounts.model import AccountSort
from sergas.accounts.partitions import PartitionedStore, partition_of
from sergas.accounts.seeding import AS_OF, SeedPlan, seed
from sergas.clock import FakeClock
from sergas.errors import (
    AccountNotFoundError,
    AccountValueError,
    PageError,
    StoreError,
    VersionConflictError,
)
from sergas.servers import PostgresServer

PLAN = SeedPlan(accounts=60, owners=5, seed=3)
NOW = 1_800_000_000.5
KINDS = ("sqlite", "sqlite partitions", "postgres", "postgres partitioned", "postgres partitions")
Make = Callable[[str], AccountStore]


@pytest.fixture
def clock() -> FakeClock:
    """A clock that the test moves."""
    return FakeClock(NOW)


@pytest.fixture
def make(tmp_path: Path, request: pytest.FixtureRequest, clock: FakeClock) -> Iterator[Make]:
    """Makes an empty store of a kind, with its tables; closed at the end."""
    with ExitStack() as stack:
        options: dict[str, Any] = {"secret": b"s" * 32, "clock": clock}

        def dsn() -> str:
            server: PostgresServer = request.getfixturevalue("postgres")
            return stack.enter_context(server.new_database())

        def made(kind: str) -> AccountStore:
            store: AccountStore
            match kind:
                case "sqlite":
                    store = SqliteStore(tmp_path / "accounts.db", **options)
                case "sqlite partitions":
                    files = [tmp_path / f"accounts-{n}.db" for n in range(3)]
                    store = PartitionedStore([SqliteStore(file, **options) for file in files])
                case "postgres":
                    store = PostgresStore(dsn(), **options)
                case "postgres partitioned":
                    store = PostgresStore(dsn(), partitions=3, **options)
                case _:
                    store = PartitionedStore([PostgresStore(dsn(), **options) for _ in range(2)])
            stack.enter_context(store)
            store.migrate()
            return store

        yield made


@pytest.fixture(params=KINDS)
def store(make: Make, request: pytest.FixtureRequest) -> AccountStore:
    """An empty store of each kind."""
    return make(request.param)


@pytest.fixture(params=KINDS)
def seeded(make: Make, request: pytest.FixtureRequest) -> AccountStore:
    """A store of each kind with the same sixty accounts."""
    store = make(request.param)
    seed(store, PLAN)
    return store


@pytest.fixture
def reference(tmp_path: Path) -> Iterator[AccountStore]:
    """The same accounts in one SQLite file, for what the others have to answer."""
    with SqliteStore(tmp_path / "reference.db") as store:
        store.migrate()
        seed(store, PLAN)
        yield store


NEW = NewAccount(
    name="Müller & Söhne ☃ '; DROP TABLE accounts; --",
    owner_id="own_001",
    email="office@example.com",
    billing_address=Address(street="1 Main Street", country="DE"),
    tags=["a", "b"],
    custom_fields={"half": 0.5, "whole": 2**53, "none": None, "yes": True, "text": '"'},
)


def test_what_is_created_is_read_back_equal(store: AccountStore) -> None:
    """Whatever is in its fields."""
    account = store.create(NEW, actor="me")
    assert store.get(account.id) == account
    assert store.get_many([account.id, "acc_nobody"]) == {account.id: account}
    assert account.version == 1
    assert account.created_at == account.updated_at == datetime.fromtimestamp(NOW, UTC)
    assert {name: getattr(account, name) for name in NEW.__struct_fields__} == {
        name: getattr(NEW, name) for name in NEW.__struct_fields__
    }


def test_who_is_not_there_is_none(store: AccountStore) -> None:
    """Reading finds nothing; changing says so."""
    assert store.get("acc_nobody") is None
    assert store.brief("acc_nobody") is None
    assert store.context("acc_nobody", AS_OF) is None
    assert store.activities("acc_nobody").activities == []
    with pytest.raises(AccountNotFoundError, match="acc_nobody"):
        store.update("acc_nobody", AccountPatch(version=1, name="x"), actor="me")
    with pytest.raises(AccountNotFoundError, match="acc_nobody"):
        store.add_activity(
            "acc_nobody", NewActivity(type="call", subject="x", created_by="own_001")
        )


def test_many_activities_of_one_moment_are_all_kept(store: AccountStore) -> None:
    """The clock stands still: ids that are drawn twice are drawn again."""
    account = store.create(NEW, actor="me")
    new = NewActivity(type="call", subject="x", created_by="own_001")
    assert len({store.add_activity(account.id, new).id for _ in range(1500)}) == 1500


def test_a_change_needs_the_version_it_was_made_from(store: AccountStore, clock: FakeClock) -> None:
    """Optimistic locking, and who did what is written down."""
    account = store.create(NEW, actor="me")
    clock.advance(1)
    changed = store.update(account.id, AccountPatch(version=1, status="closed"), actor="you")
    assert (changed.version, changed.status, changed.name) == (2, "closed", account.name)
    assert changed.updated_at == account.updated_at + timedelta(seconds=1)
    with pytest.raises(
        VersionConflictError, match="has version 2, the change was made from 1"
    ) as e:
        store.update(account.id, AccountPatch(version=1, status="active"), actor="you")
    assert e.value.versions == {account.id: 2}
    assert store.get(account.id) == changed
    context = store.context(account.id, AS_OF)
    assert context is not None
    assert [(entry.actor, entry.action, entry.details) for entry in context.audit] == [
        ("you", "changed", {"status": "closed"}),
        ("me", "created", {}),
    ]


def test_of_many_changes_at_once_one_wins(store: AccountStore) -> None:
    """Whoever was second is told."""
    account = store.create(NEW, actor="me")
    barrier = threading.Barrier(8)
    outcomes: list[object] = []

    def change(number: int) -> None:
        barrier.wait()
        patch = AccountPatch(version=1, number=str(number))
        try:
            outcomes.append(store.update(account.id, patch, actor=str(number)))
        except VersionConflictError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=change, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [outcome for outcome in outcomes if not isinstance(outcome, VersionConflictError)]
    assert len(outcomes) == 8
    assert won == [store.get(account.id)]


def test_many_writes_are_all_or_none(make: Make) -> None:
    """Whatever is wrong with one of them."""
    for kind in ("sqlite", "postgres", "postgres partitioned"):
        store = make(kind)
        first, second = (store.create(NEW, actor="me") for _ in range(2))
        before = store.counts()
        for changes, error in (
            (
                [AccountChange(id=second.id, patch=AccountPatch(version=7, name="x"))],
                VersionConflictError,
            ),
            (
                [AccountChange(id="acc_nobody", patch=AccountPatch(version=1, name="x"))],
                AccountNotFoundError,
            ),
            (
                [AccountChange(id=second.id, patch=AccountPatch(version=1, name="x"))] * 2,
                VersionConflictError,
            ),
        ):
            good = AccountChange(id=first.id, patch=AccountPatch(version=1, name="good"))
            with pytest.raises(error):
                store.write_many([NEW], [good, *changes], actor="me")
            assert store.counts() == before
            assert store.get(first.id) == first
        good = AccountChange(id=first.id, patch=AccountPatch(version=1, name="good"))
        created, changed = store.write_many([NEW], [good], actor="me")
        assert store.get(created.id) == created
        assert (store.get(first.id), changed.name, changed.version) == (changed, "good", 2)


def test_over_partitions_one_write_changes_one_partition_only(make: Make) -> None:
    """Nothing could make it all or none."""
    store = make("sqlite partitions")
    accounts = [store.create(NEW, actor="me") for _ in range(20)]
    assert len({partition_of(account.id, 3) for account in accounts}) == 3
    changes = [AccountChange(id=a.id, patch=AccountPatch(version=1, name="x")) for a in accounts]
    with pytest.raises(AccountValueError, match="got accounts of 3"):
        store.write_many([], changes, actor="me")
    assert all(store.get(account.id) == account for account in accounts)
    mine = [change for change in changes if partition_of(change.id, 3) == 1]
    written = store.write_many([NEW, NEW], mine, actor="me")
    assert {partition_of(account.id, 3) for account in written} == {1}
    assert len(store.get_many([account.id for account in written])) == len(mine) + 2


def test_an_activity_is_found_and_moves_the_account(store: AccountStore, clock: FakeClock) -> None:
    """What looks like syntax of a search is not."""
    account = store.create(NEW, actor="me")
    clock.advance(5)
    new = NewActivity(
        type="email", subject="About renewal", body="The quick-brown fox.", created_by="own_001"
    )
    activity = store.add_activity(account.id, new)
    assert store.activities(account.id).activities == [activity]
    for text in ("quick", "FOX renewal", "quick-brown", '"fox" OR', "renewal* NEAR fox'"):
        found = [hit.activity for hit in store.search(text)]
        # The last two have words that nothing has: what looks like syntax is none.
        assert found == ([activity] if set(text.lower()) <= set("quickfox renwalb-") else []), text
    assert store.search("fox", account_id="acc_other") == []
    assert store.search("' ; -- *") == []
    moved = store.get(account.id)
    assert moved is not None
    assert moved.last_activity_at == activity.created_at == datetime.fromtimestamp(NOW + 5, UTC)
    assert moved.version == 1


def test_seeding_is_the_same_everywhere(seeded: AccountStore, reference: AccountStore) -> None:
    """And is refused where something is already."""
    assert seeded.counts() == reference.counts()
    ids = [f"acc_{number:06d}" for number in range(PLAN.accounts)]
    assert seeded.get_many(ids) == reference.get_many(ids)
    with pytest.raises(AccountValueError, match="has 60 accounts already"):
        seed(seeded, PLAN)


def test_every_query_answers_as_the_reference(
    seeded: AccountStore, reference: AccountStore
) -> None:
    """Q4 to Q13, on the same rows."""
    asked: tuple[Callable[[AccountStore], object], ...] = (
        lambda s: s.portfolio("own_002"),
        lambda s: s.portfolio("own_002", "active"),
        lambda s: s.portfolio("own_nobody"),
        lambda s: s.deal_totals(7),
        lambda s: [(row.industry, row.accounts) for row in s.industries()],
        lambda s: [(row.stage, row.deals, row.amount) for row in s.pipeline()],
        lambda s: [(row.owner_id, row.won, row.lost) for row in s.win_rates()],
        lambda s: s.at_risk(AS_OF, quiet_days=50, churn_min=60),
        lambda s: s.at_risk(AS_OF, quiet_days=50, churn_min=60, limit=1),
        lambda s: [s.brief(f"acc_{number:06d}") for number in range(20)],
        lambda s: [s.usage(f"acc_{n:06d}", AS_OF, days=days) for n in (1, 5) for days in (1, 30)],
        lambda s: s.stale(5),
        lambda s: s.search("renewal", limit=10),
        lambda s: s.search("pricing call", account_id="acc_000003"),
        lambda s: s.context("acc_000004", AS_OF),
    )
    for ask in asked:
        assert ask(seeded) == ask(reference)
    means: tuple[Callable[[AccountStore], object], ...] = (
        lambda s: {row.industry: row.annual_revenue_mean for row in s.industries()},
        lambda s: {row.stage: row.amount_weighted for row in s.pipeline()},
        lambda s: {row.owner_id: row.days_to_win for row in s.win_rates()},
    )
    for mean in means:
        assert mean(seeded) == pytest.approx(mean(reference))


def test_the_brief_step_by_step_is_the_same(make: Make) -> None:
    """Otherwise it could not be compared."""
    for kind in ("sqlite", "postgres"):
        store = make(kind)
        assert isinstance(store, SqliteStore | PostgresStore)
        seed(store, SeedPlan(accounts=10))
        for number in range(11):
            account_id = f"acc_{number:06d}"
            assert brief_step_by_step(store, account_id) == store.brief(account_id)


@pytest.mark.parametrize("sort", ["name", "updated_at", "health_score"])
@pytest.mark.parametrize("is_descending", [False, True])
def test_pages_by_number_and_by_key_are_the_list(
    seeded: AccountStore, sort: AccountSort, is_descending: bool
) -> None:
    """In every order, with a filter and without."""
    for where in (AccountFilter(), AccountFilter(owner_id="own_001", health_score_min=40)):
        order: dict[str, Any] = {"sort": sort, "is_descending": is_descending}
        everything = seeded.page(where, limit=1000, **order)
        ids = [account.id for account in everything.accounts]
        assert everything.total == len(ids) == len(set(ids))
        keys = [(getattr(a, sort), a.id) for a in everything.accounts]
        assert keys == sorted(keys, reverse=is_descending)
        by_number = [
            account.id
            for number in range(1, len(ids) // 7 + 2)
            for account in seeded.page(where, limit=7, number=number, **order).accounts
        ]
        assert by_number == ids
        by_key: list[str] = []
        token: str | None = None
        while True:
            page = seeded.page_after(where, limit=7, token=token, **order)
            by_key += [account.id for account in page.accounts]
            token = page.next
            if token is None:
                break
        assert by_key == ids


def test_a_page_far_beyond_the_last_is_empty(seeded: AccountStore) -> None:
    """It reads nothing but the count."""
    page = seeded.page(number=10**9)
    assert (page.accounts, page.total) == ([], 60)


def test_a_token_that_is_none_is_refused(seeded: AccountStore) -> None:
    """Damaged, made up, or of another list."""
    for token in ("", "x", "é", "AAAA", "'; DROP TABLE accounts"):
        with pytest.raises(PageError):
            seeded.page_after(token=token)
        with pytest.raises(PageError):
            seeded.activities("acc_000001", token=token)


def test_activities_by_key_are_all_of_them_newest_first(seeded: AccountStore) -> None:
    """Over several pages."""
    seen = []
    token: str | None = None
    while True:
        page = seeded.activities("acc_000002", limit=31, token=token)
        seen += page.activities
        token = page.next
        if token is None:
            break
    keys = [(activity.created_at, activity.id) for activity in seen]
    assert len(seen) == 115
    assert keys == sorted(keys, reverse=True)


def test_numbers_out_of_range_are_told(store: AccountStore) -> None:
    """Before anything is asked of the database."""
    for ask in (
        lambda: store.page(limit=0),
        lambda: store.page(number=0),
        lambda: store.page_after(limit=0),
        lambda: store.stale(0),
        lambda: store.search("x", limit=0),
        lambda: store.usage("acc_1", AS_OF, days=0),
    ):
        with pytest.raises(AccountValueError, match="=0, needed 1 or more"):
            ask()


def test_migrating_twice_does_nothing_and_at_once_happens_once(make: Make, tmp_path: Path) -> None:
    """Any number of processes may start at once."""
    store = make("sqlite")
    assert store.migrate() == 0
    path = tmp_path / "racing.db"
    stores = [SqliteStore(path) for _ in range(4)]
    taken: list[int] = []
    threads = [threading.Thread(target=lambda s=s: taken.append(s.migrate())) for s in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in stores:
        each.check()
        each.close()
    assert sorted(taken)[:3] == [0, 0, 0]
    assert sorted(taken)[3] >= 3


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_any_text_is_kept_as_it_is_and_can_be_searched_for(
    one_of_each: dict[str, AccountStore], text: str
) -> None:
    """Nothing in a text is SQL, or syntax."""
    for store in one_of_each.values():
        account = store.create(NewAccount(name=text, owner_id="own_1", tags=[text]), actor="me")
        assert store.get(account.id) == account
        store.search(text)
        assert store.page(AccountFilter(industry=text)).accounts == []


@pytest.fixture
def one_of_each(make: Make) -> dict[str, AccountStore]:
    """A store of each database."""
    return {kind: make(kind) for kind in ("sqlite", "postgres")}


def test_what_the_database_refuses_is_a_store_error_and_writes_nothing(make: Make) -> None:
    """Not even the rows before it."""
    for kind in ("sqlite", "postgres"):
        store = make(kind)
        with pytest.raises(StoreError):
            store.fill("owners", ("id", "name", "email"), [("a", "A", "a"), ("a", "B", "b")])
        assert store.counts()["owners"] == 0
