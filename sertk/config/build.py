"""From a component's name and options to the component. The factory's signature is the schema of its options."""

from __future__ import annotations

import inspect
import json
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from sertk.config.schema import Use
from sertk.errors import BrokenPluginError, ConfigError, Fault, SertkError
from sertk.registry import Registry

Options = TypeVar("Options", bound=BaseModel)


def options_model(factory: Callable[..., Any]) -> type[BaseModel]:
    """Make the strict model of a factory's keyword-only parameters.

    Only their annotations are resolved, from the globals of the factory's module; what sertk gives (before `/`) may
    be annotated with names known to type checkers alone. Raises BrokenPluginError for an annotation that cannot be
    resolved or checked, and for a `**` parameter.
    """
    inner = inspect.unwrap(factory)
    scope = getattr(inner, "__globals__", None) or vars(sys.modules[inner.__module__])
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(factory).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            raise BrokenPluginError(f"{_place(factory)} takes **{name}: its options must be named, one by one.")
        if parameter.kind is parameter.KEYWORD_ONLY:
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[name] = (_annotation(factory, parameter, scope), default)
    config = ConfigDict(
        strict=True, extra="forbid", frozen=True, protected_namespaces=(), ser_json_inf_nan="constants"
    )
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Field name .* shadows an attribute", UserWarning)
            model: type[BaseModel] = create_model(f"options of {inner.__name__}", __config__=config, **fields)
        model.model_rebuild(_types_namespace=scope)
    except Exception as error:  # pydantic has many ways to refuse a type
        raise BrokenPluginError(f"the options of {_place(factory)} cannot be checked: {error}") from error
    return model


def read_options(model: type[Options], options: Mapping[str, Any]) -> Options:
    """Check options as a TOML file has them: a list is good for a tuple, nothing else is turned into another type."""
    return model.model_validate_json(json.dumps(dict(options), default=str))


def build(registry: Registry, use: Use, *given: Any) -> Any:
    """Build a component: `factory(*given, **options)`.

    Raises RegistryError for a name that is unknown, broken, or whose factory cannot take `given`, and ConfigError
    with all faults of its options: those of their types, and whatever the factory itself complains of. SertkErrors
    of the factory about anything else (data, weights) pass as they are.
    """
    factory = registry.get(use.use)
    model = options_model(factory)
    source = f"{registry.kind} {use.use!r}"
    try:
        checked = read_options(model, use.options)
    except ValidationError as error:
        from sertk.config.check import option_faults  # which stands on this module

        raise ConfigError(source, option_faults(model, use.use, use.options, error)) from None
    options = {name: getattr(checked, name) for name in checked.model_fields_set}
    try:
        inspect.signature(factory).bind(*given, **options)
    except TypeError as error:
        raise BrokenPluginError(
            f"the {registry.kind} {use.use!r} ({_place(factory)}) has another signature than its kind: {error}. "
            f"See sertk.contracts."
        ) from None
    try:
        return factory(*given, **options)
    except ConfigError as error:
        raise ConfigError(source, error.faults) from error
    except SertkError:
        raise
    except Exception as error:  # whatever a stranger's factory raises
        told = {name: getattr(checked, name) for name in model.model_fields}
        raise ConfigError(source, [complaint(use.use, told, error)]) from error


def complaint(name: str, options: Mapping[str, Any], error: Exception) -> Fault:
    """What a component raised that is no SertkError: at the option that it most likely speaks of, or at none."""
    text = (str(error).strip().splitlines() or [""])[0]

    def named(option: str) -> int:
        value = options[option]
        quoted = value is not None and re.search(rf"(?<!\w){re.escape(repr(value))}(?!\w)", text) is not None
        return 2 * quoted + (re.search(rf"\b{re.escape(option)}\b", text) is not None)

    likely = sorted(options, key=named, reverse=True)[:2]
    clear = likely and named(likely[0]) > (named(likely[1]) if len(likely) > 1 else 0)
    place = likely[0] if clear else ""
    what = f"{json.dumps(options[place], default=str)} will not do" if place else f"{name!r} cannot be used"
    return Fault(place, f"{what}: {type(error).__name__}: {text}")


def _annotation(factory: Callable[..., Any], parameter: inspect.Parameter, scope: dict[str, Any]) -> Any:
    annotation = Any if parameter.annotation is parameter.empty else parameter.annotation
    while isinstance(annotation, str):
        try:
            annotation = eval(annotation, scope)
        except Exception as error:  # a name for type checkers alone, or no expression at all
            raise BrokenPluginError(
                f"the option {parameter.name!r} of {_place(factory)} is annotated {annotation!r}, which its module "
                f"does not define when it runs ({error}). Import the type outside TYPE_CHECKING."
            ) from None
    return annotation


def _place(factory: Callable[..., Any]) -> str:
    return f"{factory.__module__}:{factory.__qualname__}"
