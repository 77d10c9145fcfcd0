"""The reference pages, made from registries, signatures, verbs, schema and errors: a hook of MkDocs, see mkdocs.yml.

Nothing of them is kept in the repository: what the code says is what the pages say.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from typer.models import ArgumentInfo

from sertk import errors
from sertk.cli import VERBS
from sertk.config import schema
from sertk.config.describe import describe, type_text
from sertk.registry import REGISTRIES, verbs

ROOT = Path(__file__).resolve().parents[1]
SECTIONS = (
    "Experiment",
    "Data",
    "Head",
    "Stage",
    "Solver",
    "Selection",
    "Compute",
    "EncoderFile",
    "Combination",
    "Guidance",
)
FILES = {
    "Experiment": "An experiment file: sertk train",
    "EncoderFile": "An encoder file: sertk extract",
    "Combination": "A combination file: sertk combine",
}
BELOW = {
    "Data": "[data]",
    "Head": "[head]",
    "Stage": "[[stage]]",
    "Solver": "[stage.solver]",
    "Selection": "[selection]",
    "Compute": "[compute]",
    "Guidance": "[guidance]",
}


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages to the site's; what MkDocs calls."""
    from mkdocs.structure.files import File

    for place, write in PAGES.items():
        files.append(File.generated(config, place, content=write()))
    return files


def components_page() -> str:
    """Every component that is installed, by kind."""
    parts = [
        "# Components",
        "All components of sertk and of the plugins in the repository, as `sertk list` and `sertk show` describe "
        "them. [Contracts](../design/contracts.md) says what each kind guarantees.",
    ]
    for registry in REGISTRIES.values():
        parts.append(f"## {registry.namespace[-1].capitalize()}")
        parts += [_component(describe(component)) for component in registry.components().values()]
    return "\n\n".join(parts) + "\n"


def _component(said: dict[str, Any]) -> str:
    path = Path(said["file"]).absolute()
    inside = path.is_relative_to(ROOT) and ".venv" not in path.parts
    source = f"`{path.relative_to(ROOT)}:{said['line']}`" if inside else f"`{said['value']}`"
    first, _, rest = said["doc"].partition("\n")
    given = ", ".join(f"`{one}`" for one in said["given"]) or "nothing"
    parts = [
        f"### {said['name']} {{ #{said['kind']}-{said['name']} }}",
        prose(first),
        f"{said['kind'].capitalize()} of {said['owner']}, in {source}. Given: {given}.",
    ]
    if said["options"]:
        rows = [
            (
                f"`{o['name']}`",
                f"`{o['type']}`",
                f"`{o['default']}`" if o["default"] else "required",
                prose(o["what"]),
            )
            for o in said["options"]
        ]
        parts.append(_table(("option", "type", "default", "what it is"), rows))
    else:
        parts.append("It takes no options.")
    return "\n\n".join([*parts, *(prose(text) for text in rest.strip().split("\n\n") if text)])


def commands(words: Sequence[str] = ()) -> dict[str, Callable[..., None]]:
    """The function of every command of the command line by its words: `train`, `data toy`, ...

    words: of a command line, which may add options to a command: `data prepare emodb`.
    """
    found: dict[str, Callable[..., None]] = {}
    for verb, (module_name, _) in VERBS.items():
        module = import_module(module_name)
        app = module.build(words) if hasattr(module, "build") else getattr(module, "app", None)
        if app is None:
            found[verb] = module.command
            continue
        for info in app.registered_commands:
            found[f"{verb} {info.name or info.callback.__name__.replace('_', '-')}"] = info.callback
    return found | {name.replace(".", " "): verbs.get(name) for name in verbs.names()}


class Option(NamedTuple):
    """An argument or option of a command. words: `--out` and the like; none for an argument."""

    name: str
    words: tuple[str, ...]
    type: str
    default: str
    what: str


def options(command: Callable[..., None]) -> Iterator[Option]:
    """Each argument and option of a command, as Typer reads its signature."""
    types = get_type_hints(command)
    for name, parameter in inspect.signature(command).parameters.items():
        info = parameter.default
        kind = type_text(types[name]).removesuffix(" | None").replace("Path", "path").replace("str", "text")
        several = kind.startswith("list[")
        kind = f"{kind[5:-1]}, several" if several else kind
        if info.default is ...:
            default = "required"
        else:
            default = "" if info.default in (None, False, "") or info.default == [] else f"`{info.default}`"
        if isinstance(info, ArgumentInfo):
            shown = (info.metavar or name).strip("[]").upper().removesuffix("...") + ("..." if several else "")
            yield Option(shown, (), kind, default, info.help or "")
            continue
        word = f"--{name.replace('_', '-')}"
        both = (word, f"--no-{word[2:]}") if kind == "bool" else (word,)
        yield Option(name, tuple(info.param_decls or both), "" if kind == "bool" else kind, default, info.help or "")


def verbs_page() -> str:
    """Every verb with its arguments and options."""
    parts = [
        "# Verbs",
        "The commands, as `sertk VERB --help` describes them. The exit status is 0, or 1 for an error, 2 for wrong "
        "usage, 130 when interrupted. All take `--help`, and `--debug`, which shows the traceback of an error.",
    ]
    for words, command in commands().items():
        rows = [
            (", ".join(f"`{word}`" for word in one.words) or one.name, one.type, one.default, prose(one.what))
            for one in options(command)
        ]
        text = prose(" ".join((inspect.getdoc(command) or "").split()))
        parts += [f"## sertk {words}", text, _table(("argument or option", "type", "default", "what it is"), rows)]
    return "\n\n".join(parts) + "\n"


def error_classes(root: type[Exception] = errors.SertkError) -> list[type[Exception]]:
    """The tree of errors of `sertk.errors`, each behind what it is a kind of; plugins have others."""
    children = [child for child in root.__subclasses__() if child.__module__ == errors.__name__]
    return [root, *(one for child in children for one in error_classes(child))]


def errors_page() -> str:
    """Every error class and what it stands for."""
    parts = [
        "# Errors",
        "What sertk raises on purpose and warns of, all of `sertk.errors`. The command line prints the message; an "
        "error ends it with status 1 (2 for a UsageError), and `--debug` shows the traceback.",
    ]
    for one in [*error_classes(), *error_classes(errors.SertkWarning)]:
        roots = (errors.SertkError, errors.SertkWarning)
        above = " > ".join(base.__name__ for base in reversed(one.__mro__) if issubclass(base, roots))
        parts += [f"## {one.__name__}", prose(inspect.getdoc(one) or ""), f"`{above}`"]
    return "\n\n".join(parts) + "\n"


def option_lines(doc: str, names: Sequence[str]) -> dict[str, str]:
    """What a docstring says of each option: the sentence behind `name:`, else the first one that has `name` in it."""
    words = "|".join(map(re.escape, names)) or "$."
    label = rf"(?<![\w`])((?:{words})(?:, (?:{words}))*): "
    found = dict.fromkeys(names, "")
    body = " ".join(doc.partition("\n")[2].split())
    for place in re.finditer(label, body):
        text = re.split(rf"\.(?= |$)|{label}", body[place.end() :], maxsplit=1)[0].strip(" ;.")
        for name in place[1].split(", "):
            found[name] = found[name] or text
    for sentence in re.split(r"(?<=[.:;]) ", " ".join(doc.split())):
        for name in names:
            if not found[name] and f"`{name}`" in sentence:
                found[name] = sentence.strip(" .:;")
    return found


def configuration_page() -> str:
    """Every key of the TOML files."""
    parts = [
        "# Configuration",
        "What a TOML file may say; `sertk check` finds all its faults at once. A `Use` is a table with `use`, the "
        "name of a [component](components.md), and the component's options; a `LossTerm` has a `weight` too.",
    ]
    for name in SECTIONS:
        model: type[schema.Section] = getattr(schema, name)
        said = option_lines(f"\n{model.__doc__}", list(model.model_fields)) | _attribute_docstrings(model)
        rows = []
        for key, field in model.model_fields.items():
            default = field.default
            text = "required" if field.is_required() else "" if default is None else f"`{_value(default)}`"
            kind = type_text(field.annotation, field.metadata)
            rows.append((f"`{key}`", f"`{kind}`", text, prose(said[key])))
        parts.append(f"## {FILES[name]}" if name in FILES else f"### {BELOW[name]}")
        parts += [prose(inspect.getdoc(model) or ""), _table(("key", "type", "default", "what it is"), rows)]
    return "\n\n".join(parts) + "\n"


def _value(default: Any) -> str:
    """A default as a TOML file would have it, near enough."""
    if isinstance(default, schema.Use):
        return f'{{ use = "{default.use}" }}'
    if isinstance(default, schema.Section):
        return "{}"
    if isinstance(default, (list, tuple)):
        return f"[{', '.join(map(_value, default))}]"
    return (
        str(default).lower()
        if isinstance(default, bool)
        else f'"{default}"'
        if isinstance(default, str)
        else str(default)
    )


def _attribute_docstrings(model: type) -> dict[str, str]:
    """The string behind each attribute of a class, where there is one."""
    (body,) = ast.parse(inspect.getsource(model)).body
    assert isinstance(body, ast.ClassDef)
    pairs = zip(body.body, body.body[1:], strict=False)
    return {
        one.target.id: next_one.value.value.rstrip(".")
        for one, next_one in pairs
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
        if isinstance(next_one, ast.Expr) and isinstance(next_one.value, ast.Constant)
    }


def prose(text: str) -> str:
    """Words of a docstring as Markdown: what is not in backticks means itself."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(one if one.startswith("`") else re.sub(r"([*<|\[\]\\])", r"\\\1", one) for one in parts)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace(chr(10), ' ') for cell in line)} |" for line in lines)


PAGES: dict[str, Callable[[], str]] = {
    "reference/components.md": components_page,
    "reference/verbs.md": verbs_page,
    "reference/configuration.md": configuration_page,
    "reference/errors.md": errors_page,
}
"""Place in the site to what writes the page."""
