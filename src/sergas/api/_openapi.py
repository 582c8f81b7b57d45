"""The OpenAPI document, made from the table of operations and the types that validate."""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import msgspec

from sergas.api._failures import CODES, Failure
from sergas.api._operations import Operation

__all__ = ["document"]

_REF = "#/components/schemas/{name}"
_EVERY = (400, 422, 500, 503)
_ASKED_FOR = (401, 429)
_WITH_BODY = (408, 413, 415, 507)


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """The document, version 3.1, of these operations."""
    kinds: list[Any] = [Failure]
    for operation in operations:
        kinds += [kind for kind in (operation.body, operation.answer) if kind is not None]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    by_kind = dict(zip(map(repr, kinds), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(
            operation, by_kind
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "sergas accounts",
            "version": _version(),
            "description": "Accounts, what happened with them and what may come of it.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _described(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    statuses = {*_EVERY, *operation.errors}
    if not operation.is_open:
        statuses.update(_ASKED_FOR)
    if operation.body is not None:
        statuses.update(_WITH_BODY)
        statuses.update(_ASKED_FOR if operation.is_open else ())
    responses = {str(status): _failing(status, schemas) for status in sorted(statuses)}
    content: dict[str, Any] = {"text/plain": {"schema": {"type": "string"}}}
    if operation.answer is not None:
        content = {"application/json": {"schema": schemas[repr(operation.answer)]}}
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "security": [] if operation.is_open else [{"bearer": []}],
        "parameters": [*_path_parameters(operation), *_query_parameters(operation)],
        "responses": {str(operation.status): {"description": "Done.", "content": content}}
        | responses,
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schemas[repr(operation.body)]}},
        }
    return described


def _failing(status: int, schemas: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": CODES[status].replace("_", " ").capitalize() + ".",
        "content": {"application/json": {"schema": schemas[repr(Failure)]}},
    }


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    if "{id}" not in operation.path:
        return []
    schema = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,50}$"}
    return [{"name": "id", "in": "path", "required": True, "schema": schema}]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    (_,), components = msgspec.json.schema_components([operation.query], ref_template=_REF)
    schema = components[operation.query.__name__]
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": _without_null(part),
        }
        for name, part in schema["properties"].items()
    ]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that may be left out: there is no null in a query."""
    kinds = [part for part in schema.get("anyOf", ()) if part != {"type": "null"}]
    if len(kinds) == 1:
        return dict(kinds[0])
    if schema.get("enum") and None in schema["enum"]:
        return {"enum": [value for value in schema["enum"] if value is not None]}
    return {key: value for key, value in schema.items() if key != "default" or value is not None}


def _version() -> str:
    try:
        return version("groundspeed")
    except PackageNotFoundError:
        return "0"
