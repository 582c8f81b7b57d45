"""The account service over HTTP: Starlette on uvicorn, types of msgspec.

Needs the extra `service`.
"""

from sergas.errors import MissingExtraError

try:
    from sergas.api._app import make_api
    from sergas.api.server import raise_file_limit, server_config
except ImportError as error:
    raise MissingExtraError(
        f"api: {error.name} is not installed; pip install 'groundspeed[service]'"
    ) from error

__all__ = ["make_api", "raise_file_limit", "server_config"]
