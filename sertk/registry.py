"""One registry for each kind of component, filled by the entry points of installed distributions.

`catalogue` alone overwrites silently, lets one broken plugin turn every typo into its ImportError, and imports
a plugin to answer `in`. This strict subclass reads names and owners from metadata without importing anything.
Names and behaviours: docs/design/registries.md.
"""

# Longer than others: it ends with the table of what this project's plugins provide.
from __future__ import annotations

import ast
import importlib.util
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, TypeVar

import catalogue

from sertk.errors import BrokenPluginError, NameConflictError, UnknownNameError, did_you_mean

Function = TypeVar("Function")
NOTEBOOK = "registered in this process"


@dataclass(frozen=True)
class Component:
    """A registered name and its owner, as the metadata has it. value: `module:function`."""

    kind: str
    name: str
    distribution: str
    version: str
    value: str

    @property
    def owner(self) -> str:
        """Distribution and version, for messages."""
        return f"{self.distribution} {self.version}".strip()

    def summary(self) -> str:
        """The first line of its docstring, read from the source without importing it."""
        docstring = _source_docstring(self.value)
        return docstring.strip().splitlines()[0] if docstring else ""


class Registry(catalogue.Registry):
    """Names of one kind of component. One name has one owner; a broken plugin fails only when asked for."""

    def __init__(self, kind: str, plural: str | None = None) -> None:
        name = plural or (f"{kind}es" if kind.endswith("s") else f"{kind}s")
        super().__init__(("sertk", name), entry_points=True)
        self.kind = kind
        self._installed: dict[str | None, dict[str, Component]] = {}

    def components(self) -> dict[str, Component]:
        """Every visible name with its owner, sorted, without importing. Raises NameConflictError."""
        allowed = os.environ.get("SERTK_PLUGINS")
        if allowed not in self._installed:
            self._installed[allowed] = self._read_metadata()
        found = dict(self._installed[allowed])
        for name, function in self._registered().items():
            place = function if hasattr(function, "__qualname__") else type(function)  # a partial has none of its own
            found[name] = Component(self.kind, name, NOTEBOOK, "", f"{place.__module__}:{place.__qualname__}")
        return dict(sorted(found.items()))

    def names(self) -> list[str]:
        """Every visible name, sorted, without importing."""
        return list(self.components())

    def __contains__(self, name: object) -> bool:
        return name in self.components()

    def get(self, name: str) -> Any:
        """Load the factory of a name. Raises UnknownNameError or, naming its distribution, BrokenPluginError."""
        registered = self._registered()
        component = self.components().get(name)
        if component is None:
            raise UnknownNameError(self._unknown(name))
        if name in registered:
            return registered[name]
        try:
            return EntryPoint(name, component.value, self.entry_point_namespace).load()
        except Exception as error:  # whatever a stranger's module raises on import
            raise BrokenPluginError(
                f"the {self.kind} {name!r} of {component.owner} ({component.value}) cannot be loaded: "
                f"{type(error).__name__}: {error}. Fix or uninstall {component.distribution}."
            ) from error

    def get_all(self) -> dict[str, Any]:
        """Load every factory. Prefer `components`, which imports nothing."""
        return {name: self.get(name) for name in self.names()}

    def get_entry_points(self) -> dict[str, Any]:
        """Load the factories that come from entry points. Prefer `components`, which imports nothing."""
        registered = self._registered()
        return {name: self.get(name) for name in self.names() if name not in registered}

    def get_entry_point(self, name: str, default: Any | None = None) -> Any:
        """Load a factory that comes from an entry point, or give the default."""
        return self.get(name) if name in self.names() and name not in self._registered() else default

    def register(self, name: str, *, func: Any | None = None) -> Callable[[Function], Function]:
        """Register a factory in this process, for notebooks. Raises NameConflictError for a name with an owner."""

        def add(function: Function) -> Function:
            owner = self.components().get(name)
            if owner is not None and owner.distribution != NOTEBOOK:
                raise NameConflictError(f"the {self.kind} {name!r} belongs to {owner.owner}: choose another name")
            catalogue._set([*self.namespace, name], function)
            return function

        return add(func) if func is not None else add

    def _read_metadata(self) -> dict[str, Component]:
        """The visible components of installed distributions. Raises NameConflictError."""
        found: dict[str, Component] = {}
        for entry_point in self._get_entry_points():
            component = _component(self.kind, entry_point)
            if not _is_visible(component.distribution):
                continue
            other = found.setdefault(component.name, component)
            if other.distribution != component.distribution:
                raise NameConflictError(
                    f"two distributions register the {self.kind} {component.name!r}: {other.owner} ({other.value}) "
                    f"and {component.owner} ({component.value}). Uninstall one, or name those to be seen in "
                    f"SERTK_PLUGINS."
                )
        return found

    def _registered(self) -> dict[str, Any]:
        prefix = tuple(self.namespace)
        return {key[-1]: value for key, value in catalogue.REGISTRY.items() if key[:-1] == prefix}

    def _unknown(self, name: str) -> str:
        known = self.names()
        message = f"There is no {self.kind} {name!r}. {did_you_mean(name, known)}"
        for other in REGISTRIES.values():
            if other is not self and name in other:
                message += f"{name!r} is a {other.kind}, not a {self.kind}. "
        message += f"Known: {', '.join(known) or 'none'}."
        hidden = _hidden_owner(self, name)
        if hidden:
            return f"{message} {hidden} registers it but SERTK_PLUGINS hides it."
        provider = PROVIDERS.get(self.kind, {}).get(name)
        if provider:
            return f"{message} {provider} provides it: pip install {provider}."
        return f"{message} A component of a plugin needs its distribution installed (again, after a new entry point)."


def _component(kind: str, entry_point: EntryPoint) -> Component:
    distribution = entry_point.dist
    name, version = (distribution.name, distribution.version) if distribution else ("unknown distribution", "")
    return Component(kind, entry_point.name, _normalised(name), version, entry_point.value)


def _normalised(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _is_visible(distribution: str) -> bool:
    allowed = os.environ.get("SERTK_PLUGINS")
    if allowed is None or distribution == "sertk":
        return True
    return distribution in {_normalised(name) for name in re.split(r"[,\s]+", allowed) if name}


def _hidden_owner(registry: Registry, name: str) -> str | None:
    components = (_component(registry.kind, e) for e in registry._get_entry_points() if e.name == name)
    return next((c.distribution for c in components if not _is_visible(c.distribution)), None)


def _source_docstring(value: str) -> str | None:
    """Docstring of `module:function`, or else of its module, by parsing the file; nothing is run."""
    module, _, function = value.partition(":")
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin) if not rest else Path(spec.origin).parent.joinpath(*rest).with_suffix(".py")
    if not path.is_file():
        path = path.with_suffix("") / "__init__.py"
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, UnicodeDecodeError):
        return None
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == function.strip():
            return ast.get_docstring(node)
    return ast.get_docstring(tree)


def registry_of(kind: str) -> Registry:
    """The registry of a kind of component, in the singular or plural. Raises UnknownNameError."""
    for registry in REGISTRIES.values():
        if kind in (registry.kind, registry.namespace[-1]):
            return registry
    raise UnknownNameError(
        f"There is no kind {kind!r}. {did_you_mean(kind, REGISTRIES)}Kinds: {', '.join(REGISTRIES)}."
    )


corpora = Registry("corpus", "corpora")
encoders = Registry("encoder")
transcribers = Registry("transcriber")
segmenters = Registry("segmenter")
fusions = Registry("fusion")
samplers = Registry("sampler")
regularizers = Registry("regularizer")
losses = Registry("loss")
optimizers = Registry("optimizer")
aggregators = Registry("aggregator")

_KINDS = (
    *(corpora, encoders, transcribers, segmenters, fusions, samplers),
    *(regularizers, losses, optimizers, aggregators),
)
REGISTRIES: dict[str, Registry] = {registry.kind: registry for registry in _KINDS}
"""All registries by kind."""

verbs = Registry("verb")
"""Verbs of the command line that plugins add: `name = "module:command"`, or `module:app` for a `typer.Typer`.

A name with a dot is a command of a verb that has several: `"data.toy" = "sertk_toy.cli:toy"`.
"""

models = Registry("model")
"""Trained models that packages bring: `() -> Path`, the folder; its docstring says what the model is."""

planners = Registry("planner")
"""Of plugins: what a result of their verb would be made from now, for `sertk why`: `(**call) -> Provenance`."""

checkers = Registry("checker")
"""Of plugins: `(path, corpus) -> Section | None` for `sertk check`; None for a file of another kind."""

adopters = Registry("adopter")
"""Of `sertk-adopt`: what makes models of public checkpoints of one shape (`sertk_adopt.contract.Adopter`)."""

PROVIDERS: dict[str, dict[str, str]] = {
    "corpus": {
        **dict.fromkeys(("audformat", "crema_d", "crema_d_acted", "emodb", "emovo", "esd"), "sertk-corpora"),
        **dict.fromkeys(("filenames", "iemocap", "lhotse", "meld", "msp_improv", "ravdess"), "sertk-corpora"),
        **dict.fromkeys(("savee", "shemo", "tess"), "sertk-corpora"),
        "msp_podcast": "sertk-msp-podcast",
    },
    "encoder": {"corpus_normalised": "sertk-adopt", "opensmile": "sertk-opensmile", "s3prl": "sertk-s3prl"},
    "adopter": dict.fromkeys(("dense", "odyssey", "stock", "vox_profile"), "sertk-adopt"),
    "segmenter": {"speech": "sertk-vad"},
    "fusion": {"adopted": "sertk-adopt", "deepser": "sertk-deepser", "relabelled": "sertk-adopt"},
    "sampler": {"balanced": "sertk-balanced"},
    "regularizer": {"manifold_mixup": "sertk-mixup"},
    "aggregator": {"meta_classifier": "sertk-meta", "soup": "sertk-soup"},
    "model": {"small": "sertk-ready"},
    "verb": {
        **dict.fromkeys(("ablate", "baseline", "crosscorpus", "plan"), "sertk-lab"),
        **dict.fromkeys(("adopt", "convert", "relabel"), "sertk-adopt"),
        "data.augment": "sertk-corpora",
        "data.toy": "sertk-toy",
        "export": "sertk-corpora",
        "submit": "sertk-msp-podcast",
    },
    "planner": {
        **dict.fromkeys(("adopt", "convert", "relabel"), "sertk-adopt"),
        "data augment": "sertk-corpora",
        **{"ablate": "sertk-lab", "export": "sertk-corpora", "submit": "sertk-msp-podcast"},
    },
    "checker": {"ablation": "sertk-lab"},
}
"""By kind and name, the plugin of this project that provides it, for the message where it is not installed."""
