"""The HTTP service with what clients send: good, wrong, malicious, slow, and by the thousand."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import jwt
import pytest


class Client:
    """The standard library's client, with a token."""

    def __init__(self, service: Any, token: str | None = None) -> None:
        self.connection = HTTPConnection("127.0.0.1", service.port, timeout=30)
        self.token = token
        self.key: str = service.key
        self.others: list[Client] = []
        if token is None:
            answer = self.ask("POST", "/v1/tokens", {"api_key": self.key})
            assert answer.status == 200
            self.token = answer.json["access_token"]

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> "Answer":
        """Send a request; a body that is not bytes is sent as JSON."""
        given = {"authorization": f"Bearer {self.token}"} if self.token else {}
        if body is not None:
            given["content-type"] = "application/json"
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, body, given)
        reply = self.connection.getresponse()
        return Answer(reply.status, dict(reply.getheaders()), reply.read())


class Answer:
    """What came back."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of a refusal, whose shape is checked."""
        error = self.json["error"]
        assert set(error) == {"code", "message", "details", "request_id", "timestamp"}
        assert error["request_id"] == self.headers["x-request-id"]
        assert error["message"]
        return str(error["code"])


@pytest.fixture
def client(service: Any) -> Iterator[Client]:
    """A client with a good token."""
    made = Client(service)
    yield made
    for each in (made, *made.others):
        each.connection.close()


NEW = {"name": "Basaltforge SE", "owner_id": "own_001"}


def test_an_account_from_its_creation_to_its_change(client: Client) -> None:
    """As a developer would try it first."""
    created = client.ask("POST", "/v1/accounts", NEW)
    assert created.status == 201
    path = created.headers["location"]
    assert client.ask("GET", path).json == created.json
    changed = client.ask("PATCH", path, {"version": 1, "status": "closed", "tags": ["x"]})
    assert (changed.status, changed.json["version"], changed.json["tags"]) == (200, 2, ["x"])
    assert client.ask("GET", path).json == changed.json, "the cache has heard of it"
    late = client.ask("PATCH", path, {"version": 1, "status": "active"})
    assert (late.status, late.code) == (409, "conflict")
    assert late.json["error"]["details"] == {"versions": {created.json["id"]: 2}}
    noted = client.ask(
        "POST",
        f"{path}/activities",
        {"type": "call", "subject": "About amber", "created_by": "own_001"},
    )
    assert noted.status == 201
    brief = client.ask("GET", f"{path}/brief").json
    assert [activity["id"] for activity in brief["activities"]] == [noted.json["id"]]
    assert client.ask("GET", "/v1/search?q=amber").json["hits"][0]["activity"] == noted.json
    context = client.ask("GET", f"{path}/context").json
    assert [entry["actor"] for entry in context["audit"]] == ["client", "client"]


def test_lists_by_number_and_by_cursor_have_the_same_accounts(client: Client) -> None:
    """With the fields that the contract of the REST service names."""
    by_number, by_cursor = [], []
    for page in (1, 2, 3):
        answer = client.ask("GET", f"/v1/accounts?owner_id=own_003&limit=4&page={page}").json
        by_number += answer["data"]
        assert answer["pagination"]["has_prev"] == (page > 1)
    cursor: str | None = ""
    while cursor is not None:
        answer = client.ask("GET", f"/v1/accounts?owner_id=own_003&limit=4&cursor={cursor}").json
        by_cursor += answer["data"]
        cursor = answer["pagination"]["next"]
    assert by_number == by_cursor
    assert by_number


def test_many_at_once(client: Client) -> None:
    """Reading tells what is missing, writing is all or none."""
    ids = [f"acc_{number:06d}" for number in (3, 1, 2)]
    found = client.ask("POST", "/v1/bulk/read", {"ids": [*ids, "acc_nobody", ids[0]]}).json
    assert [account["id"] for account in found["accounts"]] == ids
    assert found["missing"] == ["acc_nobody"]
    version = found["accounts"][0]["version"]
    change = {"kind": "change", "id": ids[0], "patch": {"version": version, "phone": "1"}}
    create = {"kind": "create", "account": NEW}
    written = client.ask("POST", "/v1/bulk/write", {"writes": [create, change, create]})
    assert [account["phone"] for account in written.json["accounts"]] == ["", "1", ""]
    again = client.ask("POST", "/v1/bulk/write", {"writes": [create, change]})
    assert (again.status, again.code) == (409, "conflict")
    for path, body in (
        ("read", {"ids": ["a"] * 201}),
        ("read", {"ids": []}),
        ("write", {"writes": [create] * 101}),
        ("write", {"writes": []}),
        ("write", {"writes": [{"kind": "drop"}]}),
    ):
        assert client.ask("POST", f"/v1/bulk/{path}", body).status == 422, body


def test_a_whole_number_may_be_written_with_a_fraction_of_nothing(client: Client) -> None:
    """JSON has one kind of number; a half is still refused."""
    created = client.ask("POST", "/v1/accounts", b'{"name": "n", "owner_id": "o", "nps": 3.0}')
    assert (created.status, created.json["nps"]) == (201, 3)
    refused = client.ask("POST", "/v1/accounts", b'{"name": "n", "owner_id": "o", "nps": 3.5}')
    assert (refused.status, refused.code) == (422, "invalid")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed"),
        (b"", 400, "malformed"),
        (b"\xff\xfe", 400, "malformed"),
        (b'{"name": "n", "custom_fields": ' + b"[" * 100_000, 422, "invalid"),
        (b'{"name": "\\ud800", "owner_id": "o"}', 400, "malformed"),
        (b'{"name": 1, "owner_id": "o"}', 422, "invalid"),
        (b'{"name": "", "owner_id": "o"}', 422, "invalid"),
        (b'{"name": "n"}', 422, "invalid"),
        (b"[]", 422, "invalid"),
        (b'{"name": "n", "owner_id": "o", "surprise": 1}', 422, "invalid"),
        (b'{"name": "n\\u0000", "owner_id": "o"}', 422, "invalid"),
        (b'{"name": "n", "owner_id": "o\\n"}', 422, "invalid"),
        (b'{"name": "n", "owner_id": "o", "health_score": 101}', 422, "invalid"),
        (b'{"name": "n", "owner_id": "o", "annual_revenue": 1e400}', 422, "invalid"),
        (b'{"name": "n", "owner_id": "o", "custom_fields": {"a": {"b": 1}}}', 422, "invalid"),
        (b'{"name": "' + b"n" * 2_000_000 + b'"}', 413, "too_large"),
    ],
)
def test_bodies_that_are_wrong(client: Client, body: bytes, status: int, code: str) -> None:
    """Each is told apart, and the service goes on."""
    answer = client.ask("POST", "/v1/accounts", body)
    assert (answer.status, answer.code) == (status, code)
    assert Client.ask(client, "GET", "/health").status == 200


def test_a_body_of_another_type_is_refused(client: Client) -> None:
    """JSON is what is read."""
    answer = client.ask("POST", "/v1/accounts", b"name=x", content_type="text/plain")
    assert (answer.status, answer.code) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=101", "limit=x", "page=0", "page=-1", "page=1000000001", "nobody=1"),
        *("status=dead", "limit=1&limit=2", "page=1&cursor=", "cursor=x", "sort=name;DROP"),
        *("owner_id=a/b", "health_score_min=1.5", "industry=%00", "status=null", "limit"),
    ],
)
def test_queries_that_are_wrong(client: Client, query: str) -> None:
    """None reaches the database."""
    answer = client.ask("GET", f"/v1/accounts?{query}")
    assert answer.code == ("malformed" if query == "limit" else "invalid")


def test_a_page_far_away_is_empty_and_quick(client: Client) -> None:
    """Nothing is skipped over to find that out."""
    answer = client.ask("GET", f"/v1/accounts?page={10**9}").json
    assert answer["data"] == []
    assert answer["pagination"]["has_next"] is False


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/accounts/..%2f..%2fetc%2fpasswd", 404),
        ("/v1/accounts/../../etc/passwd", 404),
        ("/v1/accounts/%00", 422),
        ("/v1/accounts/%F0%9F%A6%8A", 422),
        ("/v1/accounts/'%20OR%20'1'='1", 422),
        ("/v1/accounts/" + "a" * 51, 422),
        ("/v1/accounts/acc_nobody", 404),
        ("/v1/accounts/acc_nobody/brief", 404),
        ("/v1/accounts/acc_nobody/context", 404),
        ("/v1/accounts/", 404),
        ("/nothing", 404),
    ],
)
def test_paths_that_lead_nowhere(client: Client, path: str, status: int) -> None:
    """A refusal in the one shape, whatever was asked."""
    answer = client.ask("GET", path)
    assert (answer.status, answer.code) == (status, {404: "not_found", 422: "invalid"}[status])


def test_a_method_that_is_not_for_a_path(client: Client) -> None:
    """And what is."""
    answer = client.ask("DELETE", "/v1/accounts/acc_000001")
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert "PATCH" in answer.headers["allow"] or "GET" in answer.headers["allow"]


def test_sql_in_every_field_is_only_text(client: Client) -> None:
    """What goes in comes out, and nothing else has changed."""
    before = client.ask("GET", "/v1/accounts").json["pagination"]["total"]
    text = "'); DROP TABLE accounts; -- \" \\ \U0001f98a ☃"
    fields: dict[str, Any] = {
        "name": text,
        "number": text,
        "phone": text,
        "website": text,
        "payment_terms": text,
        "industry": text,
        "tax_id": text,
        "tags": [text],
        "custom_fields": {text: text},
        "billing_address": dict.fromkeys(("street", "city", "state", "postal_code"), text),
    }
    created = client.ask("POST", "/v1/accounts", {**fields, "owner_id": "own_001"})
    assert created.status == 201
    read = client.ask("GET", created.headers["location"]).json
    for name, value in fields.items():
        assert read[name] == ({**value, "country": ""} if name == "billing_address" else value)
    assert client.ask("GET", "/v1/search?q=%27%29%3B+DROP+TABLE+accounts").status == 200
    assert client.ask("GET", "/v1/accounts").json["pagination"]["total"] == before + 1


def test_tokens_that_are_no_good(client: Client, service: Any) -> None:
    """Missing, forged, expired, of the wrong use; each is told apart."""
    path = "/v1/accounts/acc_000001"
    bare = Client(service, token="")
    client.others.append(bare)
    assert bare.ask("GET", path).code == "token_missing"
    good = jwt.decode(client.token or "", options={"verify_signature": False})
    forged = jwt.encode(good, "f" * 32, algorithm="HS256")
    unsigned = jwt.encode(good, None, algorithm="none")
    for token in ("x", forged, unsigned, (client.token or "")[:-2] + "zz"):
        assert bare.ask("GET", path, authorization=f"Bearer {token}").code == "token_invalid"
    assert bare.ask("GET", path, authorization=f"Basic {client.token}").code == "token_invalid"
    refresh = bare.ask("POST", "/v1/tokens", {"api_key": client.key}).json["refresh_token"]
    assert bare.ask("GET", path, authorization=f"Bearer {refresh}").code == "token_invalid"
    renewed = bare.ask("POST", "/v1/tokens/refresh", {"refresh_token": refresh}).json
    bearer = f"Bearer {renewed['access_token']}"
    assert bare.ask("GET", path, authorization=bearer).status == 200
    wrong = bare.ask("POST", "/v1/tokens", {"api_key": "guess"})
    assert (wrong.status, wrong.code) == (401, "key_unknown")
    assert wrong.headers["www-authenticate"] == "Bearer"


def test_of_many_changes_at_once_one_wins(client: Client, service: Any) -> None:
    """The others are told by a conflict; nobody waits for ever."""
    path = client.ask("POST", "/v1/accounts", NEW).headers["location"]
    statuses: list[int] = []

    def change(number: int) -> None:
        mine = Client(service, client.token)
        statuses.append(mine.ask("PATCH", path, {"version": 1, "phone": str(number)}).status)
        mine.connection.close()

    threads = [threading.Thread(target=change, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [409] * 15


def test_half_a_request_is_given_up(client: Client, service: Any) -> None:
    """Of headers the connection ends, of a body there is an answer."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as end:
        end.sendall(b"GET /v1/accounts HTTP/1.1\r\nhost: x\r\n")
        assert end.recv(100) == b""
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as end:
        end.sendall(
            b"POST /v1/accounts HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"authorization: Bearer %b\r\ncontent-length: 50\r\n\r\n{"
            % (client.token or "").encode()
        )
        answer = end.recv(4096)
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"connection: close" in answer


def test_a_thousand_connections_are_served(serve: Any, seeded_file: Any) -> None:
    """All open at the same time, each with an answer; the last may be long in coming."""
    patient = serve("--database", f"sqlite:///{seeded_file}", SERGAS_READ_TIMEOUT_S="60")
    asker = Client(patient)
    asker.connection.close()
    request = (
        "GET /v1/accounts/acc_000001 HTTP/1.1\r\nhost: x\r\n"
        f"authorization: Bearer {asker.token}\r\n\r\n"
    ).encode()

    async def everyone() -> list[bytes]:
        ends = [await asyncio.open_connection("127.0.0.1", patient.port) for _ in range(1000)]
        for _, writer in ends:
            writer.write(request)
        answers = [await reader.readline() for reader, _ in ends]
        for _, writer in ends:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for _, writer in ends))
        return answers

    answers = asyncio.run(everyone())
    assert set(answers) == {b"HTTP/1.1 200 OK\r\n"}


def test_the_request_id_of_the_client_is_kept_if_it_is_one(client: Client) -> None:
    """A header that could break a log is not."""
    assert client.ask("GET", "/health", x_request_id="abc-1").headers["x-request-id"] == "abc-1"
    odd = client.ask("GET", "/health", x_request_id="a b").headers["x-request-id"]
    assert odd not in {"a b", ""}


def test_metrics_count_what_was_asked(client: Client) -> None:
    """In Prometheus' format, pools and cache included."""
    client.ask("GET", "/v1/accounts/acc_000002")
    client.ask("GET", "/v1/accounts/acc_000002")
    text = client.ask("GET", "/metrics").body.decode()
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(lines['sergas_requests_total{operation="get_account",status="200"}']) >= 2
    assert float(lines["sergas_cache_hits_total"]) >= 1
    assert float(lines['sergas_pool_size{pool="readers"}']) >= 1
    assert float(lines["sergas_requests_in_flight"]) == 1


def test_who_asks_too_much_waits(serve: Any, seeded_file: Any) -> None:
    """The headers say how much is left and how long to wait."""
    limited = serve("--database", f"sqlite:///{seeded_file}", SERGAS_RATE="0.5", SERGAS_BURST="3")
    client = Client(limited)
    answers = [client.ask("GET", "/v1/accounts/acc_000001") for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 3
    assert client.ask("GET", "/health").status == 200, "health is not counted"
    client.connection.close()


def test_sigterm_under_load_loses_no_accepted_request(serve: Any, seeded_file: Any) -> None:
    """Every request on which the service had a connection is answered, and it ends in time."""
    service = serve("--database", f"sqlite:///{seeded_file}")
    first = Client(service)
    first.connection.close()
    outcomes: list[str] = []
    started = threading.Barrier(9)

    def ask_on_and_on() -> None:
        client = Client(service, first.token)
        client.connection.connect()
        started.wait()
        while True:
            try:
                answer = client.ask("GET", "/v1/accounts?limit=50")
            except ConnectionRefusedError:
                return  # nothing was accepted
            except OSError as error:
                outcomes.append(repr(error))
                return
            outcomes.append(str(answer.status))
            if answer.headers.get("connection") == "close":
                client.connection.close()

    threads = [threading.Thread(target=ask_on_and_on) for _ in range(8)]
    for thread in threads:
        thread.start()
    started.wait()
    while len(outcomes) < 50:
        time.sleep(0.01)
    began_s = time.monotonic()
    assert service.end() in {0, -15}
    took_s = time.monotonic() - began_s
    for thread in threads:
        thread.join()
    assert set(outcomes) == {"200"}
    assert took_s < 5
