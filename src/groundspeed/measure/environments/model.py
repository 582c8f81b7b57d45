"""What the measuring side needs to know about the two versions."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["Environments", "Kind", "Mode", "Side"]

Kind = Literal["overlay", "wheel"]
Mode = Literal["auto", "overlay", "wheel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One version, ready to be imported.

    Attributes:
        tree: Its source tree, a git repository of its own.
        import_paths: Folders to put in front of `sys.path`, first one first.
        site_dirs: Folders to give to `site.addsitedir` in the forked child.
    """

    tree: Path
    import_paths: tuple[Path, ...] = ()
    site_dirs: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Environments:
    """Both versions and the interpreter that runs them.

    Attributes:
        kind: How the versions are made importable.
        reason: Why in this way, a short phrase for the report.
        interpreter: The Python binary that runs both.
        isolated: Whether to start it with -S, so that groundspeed's own packages are not seen.
        base: The version to compare with.
        candidate: The version to judge.
        benchmark_dir: The benchmark files both sides run, a copy of those in the working tree.
        hidden_paths: The user's own import folders; to be taken off `sys.path` if an editable
            installation put them there, or a module that one side lacks would come from them.
        variables: Environment variables that the suite asks for.
    """

    kind: Kind
    reason: str
    interpreter: Path
    isolated: bool
    base: Side
    candidate: Side
    benchmark_dir: Path
    hidden_paths: tuple[Path, ...] = ()
    variables: Mapping[str, str]
