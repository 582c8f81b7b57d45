"""Whether the running interpreter has what a project and its benchmarks need."""

import importlib.metadata
import platform
from collections.abc import Iterable, Iterator

from packaging.markers import UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from groundspeed.measure.environments.declared import Needs

__all__ = ["is_installed", "unmet"]


def is_installed(name: str | None) -> bool:
    """Whether a distribution of this name is installed here."""
    return name is not None and _version(name) is not None


def unmet(needs: Needs, own_name: str | None) -> Iterator[str]:
    """What of `needs` the running interpreter lacks, a phrase each.

    Args:
        needs: The declared requirements.
        own_name: The project's own distribution; its installed metadata answers where the build
            files do not.
    """
    running = platform.python_version()
    if needs.python and not _admits(needs.python, running):
        yield f"Python {needs.python} is needed, this is {running}"
    requirements: Iterable[str] = needs.requirements
    if needs.unknown:
        if not is_installed(own_name):
            yield f"{needs.unknown}, and the project is not installed in this Python"
            return
        requirements = _installed_requirements(own_name or "")
    for text in requirements:
        yield from _lacking(text, extra="", seen=frozenset())


def _lacking(text: str, *, extra: str, seen: frozenset[tuple[str, str]]) -> Iterator[str]:
    try:
        requirement = Requirement(text)
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": extra})
    except (InvalidRequirement, UndefinedEnvironmentName):
        yield f"whether {text!r} is installed cannot be told"
        return
    if not wanted:
        return
    version = _version(requirement.name)
    if version is None:
        yield f"{requirement} is not installed"
    elif not requirement.specifier.contains(version, prereleases=True):
        yield f"{requirement} is needed, {version} is installed"
    else:
        yield from _lacking_extras(requirement, seen)


def _lacking_extras(requirement: Requirement, seen: frozenset[tuple[str, str]]) -> Iterator[str]:
    for extra in sorted(requirement.extras):
        key = (requirement.name, extra)
        if key in seen:
            continue
        for text in _installed_requirements(requirement.name):
            if "extra" in text.partition(";")[2]:
                yield from _lacking(text, extra=extra, seen=seen | {key})


def _installed_requirements(name: str) -> list[str]:
    return importlib.metadata.requires(name) or []


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _admits(specifier: str, version: str) -> bool:
    try:
        return SpecifierSet(specifier).contains(version, prereleases=True)
    except InvalidSpecifier:
        return True
