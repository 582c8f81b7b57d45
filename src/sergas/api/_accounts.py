"""The operations on accounts."""

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from sergas.accounts.model import (
    Account,
    AccountBrief,
    AccountChange,
    AccountContext,
    AccountFilter,
    AccountPatch,
    AccountSort,
    AccountStatus,
    Activity,
    ActivityPage,
    Id,
    IndustrySummary,
    Name,
    NewAccount,
    NewActivity,
    RiskLevel,
    Score,
    SearchHit,
    StageSummary,
    WinRate,
)
from sergas.api._failures import ApiError
from sergas.api._operations import Answer, Call, Operation, json

__all__ = ["OPERATIONS"]

_READ_MAX = 200
_WRITE_MAX = 100
Limit = Annotated[int, Meta(ge=1, le=100)]
Cursor = Annotated[str, Meta(max_length=2000)]


class ListQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which accounts, in which order, and which part of them.

    Attributes:
        page: From 1; with the total, and slower the further.
        cursor: "" for the first page and then what `next` said; pages by key, without a total.
    """

    owner_id: Id | None = None
    status: AccountStatus | None = None
    risk_level: RiskLevel | None = None
    industry: Name | None = None
    health_score_min: Score | None = None
    sort: AccountSort = "name"
    order: Literal["asc", "desc"] = "asc"
    limit: Limit = 20
    page: Annotated[int, Meta(ge=1, le=10**9)] | None = None
    cursor: Cursor | None = None


class Pagination(msgspec.Struct, frozen=True, kw_only=True):
    """Where a page stands; `next` is for pages by cursor, the rest for pages by number."""

    limit: int
    page: int | None = None
    pages: int | None = None
    total: int | None = None
    has_next: bool
    has_prev: bool | None = None
    next: str | None = None


class AccountList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of accounts."""

    data: list[Account]
    pagination: Pagination


class ReadMany(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which accounts to read."""

    ids: Annotated[list[Id], Meta(min_length=1, max_length=_READ_MAX)]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Accounts, in the order in which they were asked for, and the ids that there are not."""

    accounts: list[Account]
    missing: list[str]


class Creation(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="create",
):
    """An account to create."""

    account: NewAccount


class Alteration(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="change",
):
    """An account to change."""

    id: Id
    patch: AccountPatch


class WriteMany(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to create and to change, all or none; an account may be in it once."""

    writes: Annotated[list[Creation | Alteration], Meta(min_length=1, max_length=_WRITE_MAX)]


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """The accounts as they are now, in the order of the writes."""

    accounts: list[Account]


class ActivityQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which part of an account's activities."""

    limit: Limit = 50
    cursor: Cursor | None = None


class SearchQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to look for: every word of `q`, in one account or in all."""

    q: Annotated[str, Meta(min_length=1, max_length=200)]
    account_id: Id | None = None
    limit: Limit = 20


class SearchResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, newest first."""

    hits: list[SearchHit]


async def _get(call: Call) -> Answer:
    body = await call.service.account_json(call.path["id"])
    if body is None:
        raise _no_account(call)
    return Answer(body=body)


async def _list(call: Call) -> Answer:
    asked: ListQuery = call.query
    if asked.page is not None and asked.cursor is not None:
        raise ApiError(422, "got both page and cursor, needed one of them")
    where = AccountFilter(
        **{name: getattr(asked, name) for name in AccountFilter.__struct_fields__}
    )
    is_descending = asked.order == "desc"
    if asked.cursor is not None:
        found = await call.service.page_after(
            where,
            sort=asked.sort,
            is_descending=is_descending,
            limit=asked.limit,
            token=asked.cursor or None,
        )
        place = Pagination(limit=asked.limit, has_next=found.next is not None, next=found.next)
        return json(AccountList(data=found.accounts, pagination=place))
    number = asked.page or 1
    found = await call.service.page(
        where, sort=asked.sort, is_descending=is_descending, limit=asked.limit, number=number
    )
    total = found.total or 0
    place = Pagination(
        limit=asked.limit,
        page=number,
        pages=-(-total // asked.limit),
        total=total,
        has_next=number * asked.limit < total,
        has_prev=number > 1,
    )
    return json(AccountList(data=found.accounts, pagination=place))


async def _create(call: Call) -> Answer:
    account = await call.service.create(call.body, actor=call.client)
    return json(account, status=201, headers={"location": f"/v1/accounts/{account.id}"})


async def _change(call: Call) -> Answer:
    return json(await call.service.update(call.path["id"], call.body, actor=call.client))


async def _read_many(call: Call) -> Answer:
    ids = list(dict.fromkeys(call.body.ids))
    found = await call.service.get_many(ids)
    return json(
        Found(
            accounts=[found[one] for one in ids if one in found],
            missing=[one for one in ids if one not in found],
        )
    )


async def _write_many(call: Call) -> Answer:
    writes: list[Creation | Alteration] = call.body.writes
    new = [each.account for each in writes if isinstance(each, Creation)]
    changes = [
        AccountChange(id=each.id, patch=each.patch)
        for each in writes
        if isinstance(each, Alteration)
    ]
    written = await call.service.write_many(new, changes, actor=call.client)
    created, changed = iter(written[: len(new)]), iter(written[len(new) :])
    accounts = [next(created if isinstance(each, Creation) else changed) for each in writes]
    return json(Written(accounts=accounts))


async def _brief(call: Call) -> Answer:
    body = await call.service.brief_json(call.path["id"])
    if body is None:
        raise _no_account(call)
    return Answer(body=body)


async def _context(call: Call) -> Answer:
    context = await call.service.context(call.path["id"], datetime.now(UTC))
    if context is None:
        raise _no_account(call)
    return json(context)


async def _activities(call: Call) -> Answer:
    page = await call.service.activities(
        call.path["id"], limit=call.query.limit, token=call.query.cursor or None
    )
    return json(page)


async def _add_activity(call: Call) -> Answer:
    return json(await call.service.add_activity(call.path["id"], call.body), status=201)


async def _search(call: Call) -> Answer:
    asked: SearchQuery = call.query
    hits = await call.service.search(asked.q, account_id=asked.account_id, limit=asked.limit)
    return json(SearchResult(hits=hits))


async def _pipeline(call: Call) -> Answer:
    return json(await call.service.pipeline())


async def _industries(call: Call) -> Answer:
    return json(await call.service.industries())


async def _win_rates(call: Call) -> Answer:
    return json(await call.service.win_rates())


def _no_account(call: Call) -> ApiError:
    return ApiError(404, f"there is no account {call.path['id']!r}")


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="list_accounts",
        method="GET",
        path="/v1/accounts",
        summary="Accounts by filter, in an order, by page number or by cursor.",
        handler=_list,
        query=ListQuery,
        answer=AccountList,
    ),
    Operation(
        name="create_account",
        method="POST",
        path="/v1/accounts",
        summary="Create an account.",
        handler=_create,
        body=NewAccount,
        answer=Account,
        status=201,
    ),
    Operation(
        name="read_accounts",
        method="POST",
        path="/v1/bulk/read",
        summary="Read up to two hundred accounts at once.",
        handler=_read_many,
        body=ReadMany,
        answer=Found,
    ),
    Operation(
        name="write_accounts",
        method="POST",
        path="/v1/bulk/write",
        summary="Create and change up to a hundred accounts, all or none.",
        handler=_write_many,
        body=WriteMany,
        answer=Written,
        errors=(404, 409),
    ),
    Operation(
        name="get_account",
        method="GET",
        path="/v1/accounts/{id}",
        summary="One account.",
        handler=_get,
        answer=Account,
        errors=(404,),
    ),
    Operation(
        name="change_account",
        method="PATCH",
        path="/v1/accounts/{id}",
        summary="Change an account that has the version from which the change was made.",
        handler=_change,
        body=AccountPatch,
        answer=Account,
        errors=(404, 409),
    ),
    Operation(
        name="get_brief",
        method="GET",
        path="/v1/accounts/{id}/brief",
        summary="The account, its last activities, open deals and open tickets.",
        handler=_brief,
        answer=AccountBrief,
        errors=(404,),
    ),
    Operation(
        name="get_context",
        method="GET",
        path="/v1/accounts/{id}/context",
        summary="The brief with usage, recommendations and the last changes.",
        handler=_context,
        answer=AccountContext,
        errors=(404,),
    ),
    Operation(
        name="list_activities",
        method="GET",
        path="/v1/accounts/{id}/activities",
        summary="Activities of an account, newest first; none of an account that is not there.",
        handler=_activities,
        query=ActivityQuery,
        answer=ActivityPage,
    ),
    Operation(
        name="add_activity",
        method="POST",
        path="/v1/accounts/{id}/activities",
        summary="Write down that something happened.",
        handler=_add_activity,
        body=NewActivity,
        answer=Activity,
        status=201,
        errors=(404,),
    ),
    Operation(
        name="search",
        method="GET",
        path="/v1/search",
        summary="Activities that have every word.",
        handler=_search,
        query=SearchQuery,
        answer=SearchResult,
    ),
    Operation(
        name="get_pipeline",
        method="GET",
        path="/v1/reports/pipeline",
        summary="Open deals by stage, weighted by probability.",
        handler=_pipeline,
        answer=list[StageSummary],
    ),
    Operation(
        name="get_industries",
        method="GET",
        path="/v1/reports/industries",
        summary="Accounts and mean revenue of each industry.",
        handler=_industries,
        answer=list[IndustrySummary],
    ),
    Operation(
        name="get_win_rates",
        method="GET",
        path="/v1/reports/win-rates",
        summary="Won and lost deals of each owner.",
        handler=_win_rates,
        answer=list[WinRate],
    ),
)
