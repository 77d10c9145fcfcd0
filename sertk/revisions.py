"""The versions of components as keys see them: what changes when a component's output may have changed."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import json
from collections.abc import Callable, Iterable
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, TypeVar

from sertk.registry import NOTEBOOK, REGISTRIES, Component

C = TypeVar("C", bound=Callable[..., Any])
_MEMBERS = (FunctionType, staticmethod, classmethod, property)
_HEAP_TYPE = 1 << 9
"""The flag of a class that was made by a `class` statement."""


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
        text = inspect.getsource(component)
    except (OSError, TypeError):
        text = json.dumps(_code_of(component))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _code_of(value: Any) -> Any:
    """What a function, a class or an object does, as JSON that is the same in every process."""
    if isinstance(value, CodeType):
        return [value.co_code.hex(), value.co_names, [_code_of(constant) for constant in value.co_consts]]
    if isinstance(value, (frozenset, set)):
        return sorted(map(repr, value))
    if isinstance(value, partial):
        return [_code_of(value.func), repr(value.args), repr(sorted(value.keywords.items()))]
    if isinstance(value, FunctionType):
        return [_code_of(value.__code__), repr(value.__defaults__), repr(value.__kwdefaults__)]
    if isinstance(value, (staticmethod, classmethod)):
        return _code_of(value.__func__)
    if isinstance(value, property):
        return [_code_of(value.fget), _code_of(value.fset)]
    if hasattr(value, "__qualname__") and not (isinstance(value, type) and value.__flags__ & _HEAP_TYPE):
        return f"{value.__module__}.{value.__qualname__}"  # of an extension module: its name has to do
    if isinstance(value, type):
        members = sorted(vars(value).items())
        return [[name, _code_of(member)] for name, member in members if isinstance(member, _MEMBERS)]
    return _code_of(type(value)) if callable(value) else repr(value)


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
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()] if spec else []
    files = [(path.relative_to(folder), path) for folder in folders for path in sorted(folder.rglob("*.py"))]
    if not files and spec and spec.origin:
        files = [(Path(Path(spec.origin).name), Path(spec.origin))]
    contents = [[name.as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()] for name, path in files]
    return hashlib.sha256(json.dumps(contents).encode()).hexdigest()
