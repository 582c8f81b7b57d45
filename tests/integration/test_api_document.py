"""The OpenAPI document tells the truth: requests made from it, and answers held against it."""

import json
from typing import Any
from urllib.request import urlopen

from tools.evaluation.api_document import tried

from sergas.sdk import SergasClient, _calls


def test_no_request_of_the_document_finds_a_fault(service: Any) -> None:
    """No server error, and no answer that the document does not describe."""
    with SergasClient(service.url, service.key) as client:
        token = client.call(_calls.issue_tokens(service.key)).access_token
    found = tried(service.url, token, examples=10, seed=1)
    assert found.failures == 0, found.text
    assert found.operations == 18, "all but the document's own address, which it came from"
    assert found.cases > 500


def test_the_document_has_every_operation_and_says_what_it_needs(service: Any) -> None:
    """Tokens for all but those that anybody may ask."""
    with urlopen(f"{service.url}/openapi.json") as answer:  # noqa: S310 loopback
        document = json.load(answer)
    operations = [each for path in document["paths"].values() for each in path.values()]
    names = {each["operationId"] for each in operations}
    assert len(names) == len(operations) == 19
    open_to_all = {each["operationId"] for each in operations if not each["security"]}
    assert open_to_all == {
        *("issue_tokens", "renew_tokens", "get_health", "get_metrics", "get_document")
    }
