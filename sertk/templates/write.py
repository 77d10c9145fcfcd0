"""Writes a plugin or a recipe from the templates beside this file, whole or not at all."""

from __future__ import annotations

import ast
import builtins
import keyword
import os
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from string import Template

from sertk.errors import TemplateError
from sertk.files import atomic_folder
from sertk.registry import REGISTRIES, registry_of

HERE = Path(__file__).parent
SUFFIX = ".template"
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
RECIPE_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")

CHECKED = {
    "corpus": ", example=write_example",
    "fusion": ', options={"width": 16}',
    "encoder": ', other={"frame_ms": 40}',
}
"""What the checks of a kind are given besides the name."""

IMPORTED = {"corpus": "\n\nfrom $module import write_example"}
"""What the test of a kind imports besides the checks."""

USAGE = {
    "corpus": "```\nsertk data prepare $component FOLDER --out manifest.jsonl.gz\n```",
    "segmenter": "```\nsertk timeline MODEL RECORDING --segmenter $component --into timelines\n```",
    "fusion": '```toml\n[fusion]\nuse   = "$component"\nwidth = 256\n```',
    "encoder": '```toml\n[encoder]\nuse      = "$component"\nframe_ms = 25\n```',
    "sampler": '```toml\n[[stage]]\nsampler = { use = "$component", batch_size = 16, power = 0.5 }\n```',
    "regularizer": '```toml\n[[stage]]\nregularizers = [{ use = "$component", deviation = 0.1 }]\n```',
    "loss": '```toml\n[[stage]]\nloss = [{ use = "$component", weight = 1.0, smoothing = 0.1 }]\n```',
    "optimizer": '```toml\n[[stage]]\noptimizer = { use = "$component", lr = 1e-4 }\n```',
    "aggregator": '```toml\n[aggregator]\nuse   = "$component"\npower = 4.0\n```',
    "transcriber": "```\nsertk transcribe manifest.jsonl.gz --use $component --out words.jsonl.gz\n```",
}
"""How a recipe names a component of each kind, for the README."""


def write_plugin(name: str, kind: str, into: Path) -> Path:
    """Write the distribution `name` with a working component of a kind into the folder `into/name`; give that folder.

    Its component is called as its module is, `sertk_` left off. Raises UnknownNameError for a kind that there is not,
    and TemplateError for a name that is none, a name that is taken, and a folder that exists.
    """
    kind = registry_of(kind).kind
    if not NAME.fullmatch(name):
        near = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")
        hint = f" {near!r} would do." if NAME.fullmatch(near) else ""
        raise TemplateError(
            f"{name!r} is not a valid plugin name: use lower-case letters, digits and single "
            f"hyphens, and start with a letter.{hint}"
        )
    module = name.replace("-", "_")
    component = module.removeprefix("sertk_")
    _refuse_taken(name, module, component, kind)
    source = (HERE / "plugin" / "kinds" / f"{kind}.py{SUFFIX}").read_text(encoding="utf-8")
    _refuse_word_of_code(component, source, kind)
    factory = factory_name(component) if "class $factory" in source else component
    words = {
        "distribution": name,
        "module": module,
        "component": component,
        "factory": factory,
        "kind": kind,
        "group": REGISTRIES[kind].namespace[-1],
        "checked": CHECKED.get(kind, ""),
        "imports": Template(IMPORTED.get(kind, "")).substitute(module=module),
        "usage": Template(USAGE[kind]).substitute(component=component),
    }
    written = Template(source).substitute(words)
    summary = _summary(written, factory)
    files = dict(_rendered(HERE / "plugin" / "common", words | {"summary": summary[0].lower() + summary[1:]}))
    return _write(into / name, files | {f"{module}/__init__.py": written})


def write_recipe(name: str, into: Path) -> Path:
    """Write a recipe that runs on the made-up corpus at once into the folder `into/name`; give that folder.

    Raises TemplateError for a name that is none, and a folder that exists.
    """
    if not RECIPE_NAME.fullmatch(name):
        raise TemplateError(
            f"{name!r} is not a valid recipe name: use lower-case letters, digits, hyphens and "
            f"underscores, and start with a letter."
        )
    return _write(into / name, dict(_rendered(HERE / "recipe", {"recipe": name})))


def _refuse_taken(name: str, module: str, component: str, kind: str) -> None:
    owner = REGISTRIES[kind].components().get(component)
    if owner is not None:
        raise TemplateError(f"the {kind} {component!r} belongs to {owner.owner}: choose another name")
    try:
        installed = f"{name} {version(name)} is installed"
    except PackageNotFoundError:
        installed = f"a module {module!r} is there already" if find_spec(module) else ""
    if installed:
        raise TemplateError(f"the name {name!r} is taken: {installed}. Choose another.")


def _refuse_word_of_code(component: str, source: str, kind: str) -> None:
    """Refuse a name that the component's own code uses for something else."""
    written = source.replace("$component", "made_up_component").replace("$factory", "MadeUpComponent")
    tree = ast.parse(written.replace("$", ""))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    used |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    used |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    if keyword.iskeyword(component) or hasattr(builtins, component) or {component, factory_name(component)} & used:
        raise TemplateError(
            f"a {kind} cannot be called {component!r}, which is a word of its code: choose another name, such as "
            f"{'my-' + component.replace('_', '-')!r}"
        )


def factory_name(component: str) -> str:
    """The name of a component's class: `MyFusion` for `my_fusion`."""
    return "".join(part.capitalize() for part in component.split("_"))


def _summary(source: str, factory: str) -> str:
    """The first line of the docstring of a function or class."""
    named = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    docstring = next(ast.get_docstring(node) for node in named if node.name == factory)
    return (docstring or "").splitlines()[0]


def _rendered(folder: Path, words: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each file of a folder of templates: its path without the suffix, and its text."""
    for path in sorted(folder.rglob(f"*{SUFFIX}")):
        text = Template(path.read_text(encoding="utf-8")).substitute(words)
        yield path.relative_to(folder).as_posix().removesuffix(SUFFIX), text


def _write(folder: Path, files: Mapping[str, str]) -> Path:
    if os.path.lexists(folder):
        raise TemplateError(f"{folder} is there already: choose another name, or another folder with --into")
    with atomic_folder(folder) as temporary:
        for place, text in files.items():
            path = temporary / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            if path.name == "run.sh":
                path.chmod(0o755)
    return folder
