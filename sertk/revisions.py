"""The versions of components as keys see them: what changes when a component's output may have changed."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import json
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, TypeVar

from sertk.registry import NOTEBOOK, REGISTRIES, Component

C = TypeVar("C", bound=Callable[..., Any])


def revision(number: int) -> Callable[[C], C]:
    """Give a component its revision, a number that its author raises whenever its output changes.

    A class may have an attribute `revision` instead. With a revision a release of the distribution makes nothing
    again; without one, each new version does, and where the distribution is installed editable each change of its
    source.
    """

    def mark(component: C) -> C:
        setattr(component, "revision", number)  # noqa: B010  # a function has no such attribute for type checkers
        return component

    return mark


def component_version(kind: str, name: str) -> str:
    """The version of a component as a part of keys. Raises RegistryError for one that cannot be loaded."""
    registry = REGISTRIES[kind]
    number = getattr(registry.get(name), "revision", None)
    component = registry.components()[name]
    if isinstance(number, int):
        return f"{component.distribution} revision {number}"
    if component.distribution == NOTEBOOK:
        return f"{NOTEBOOK} {_source_of(registry.get(name))}"
    source = f" source {_package_digest(component)[:32]}" if _is_editable(component.distribution) else ""
    return f"{component.owner}{source}"


def component_parts(uses: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The versions of components (kind, name) as parts of a key."""
    return {f"component {kind} {name}": component_version(kind, name) for kind, name in sorted(set(uses))}


def _source_of(component: Any) -> str:
    """A digest of a component registered in this process: of its source, or of its code where there is none."""
    try:
        text = inspect.getsource(component).encode()
    except (OSError, TypeError):
        code = getattr(component, "__code__", None)
        text = code.co_code + repr(code.co_consts).encode() if code is not None else repr(component).encode()
    return hashlib.sha256(text).hexdigest()[:32]


@cache
def _is_editable(name: str) -> bool:
    try:
        found = distribution(name).read_text("direct_url.json")
    except PackageNotFoundError:
        return False
    try:
        return bool(json.loads(found or "{}").get("dir_info", {}).get("editable", False))
    except (ValueError, AttributeError):
        return False


def _package_digest(component: Component) -> str:
    """SHA-256 over the Python files of the package that a component's module is in."""
    top = component.value.partition(":")[0].partition(".")[0]
    spec = importlib.util.find_spec(top)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    files = [path for folder in folders for path in sorted(Path(folder).rglob("*.py"))]
    if not files and spec and spec.origin:
        files = [Path(spec.origin)]
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
