"""A component's options: the keyword-only parameters of its signature are the schema."""

from __future__ import annotations

import inspect
import json
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, create_model

from sertk.errors import BrokenPluginError

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
            raise BrokenPluginError(f"{defined_at(factory)} takes **{name}: its options must be named, one by one.")
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
        raise BrokenPluginError(f"the options of {defined_at(factory)} cannot be checked: {error}") from error
    return model


def read_options(model: type[Options], options: Mapping[str, Any]) -> Options:
    """Check options as a TOML file has them: a list is good for a tuple, nothing else is turned into another type."""
    return model.model_validate_json(json.dumps(dict(options), default=str))


def _annotation(factory: Callable[..., Any], parameter: inspect.Parameter, scope: dict[str, Any]) -> Any:
    annotation = Any if parameter.annotation is parameter.empty else parameter.annotation
    while isinstance(annotation, str):
        try:
            annotation = eval(annotation, scope)
        except Exception as error:  # a name for type checkers alone, or no expression at all
            raise BrokenPluginError(
                f"the option {parameter.name!r} of {defined_at(factory)} is annotated {annotation!r}, which its "
                f"module does not define when it runs ({error}). Import the type outside TYPE_CHECKING."
            ) from None
    return annotation


def defined_at(factory: Callable[..., Any]) -> str:
    """Give `module:name` of a factory, for messages."""
    return f"{factory.__module__}:{factory.__qualname__}"
