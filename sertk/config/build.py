"""From a component's name and options to the component."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from sertk.config.check import option_faults
from sertk.config.options import defined_at, options_model, read_options
from sertk.config.schema import Use
from sertk.errors import BrokenPluginError, ConfigError, Fault, SertkError
from sertk.registry import Registry


def build(registry: Registry, use: Use, *given: Any) -> Any:
    """Build a component: `factory(*given, **options)`.

    Raises RegistryError for a name that is unknown, broken, or whose factory cannot take `given`, and ConfigError
    with all faults of its options: those of their types, and whatever the factory itself complains of. SertkErrors
    of the factory about anything else (data, weights) pass as they are.
    """
    factory = registry.get(use.use)
    checked = checked_options(registry, use)
    source = f"{registry.kind} {use.use!r}"
    options = {name: getattr(checked, name) for name in checked.model_fields_set}
    try:
        inspect.signature(factory).bind(*given, **options)
    except TypeError as error:
        raise BrokenPluginError(
            f"the {registry.kind} {use.use!r} ({defined_at(factory)}) does not have the signature of its kind: "
            f"{error}. See sertk.contracts."
        ) from None
    try:
        return factory(*given, **options)
    except ConfigError as error:
        raise ConfigError(source, error.faults) from error
    except SertkError:
        raise
    except Exception as error:  # whatever a stranger's factory raises
        raise ConfigError(source, [complaint(use.use, dict(checked), error)]) from error


def checked_options(registry: Registry, use: Use) -> BaseModel:
    """All options of a component, with the defaults of those that are not given.

    Raises RegistryError for a name that is unknown or broken, and ConfigError with all faults of the options' types.
    """
    model = options_model(registry.get(use.use))
    try:
        return read_options(model, use.options)
    except ValidationError as error:
        faults = option_faults(model, use.use, use.options, error)
        raise ConfigError(f"{registry.kind} {use.use!r}", faults) from None


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
    what = f"{json.dumps(options[place], default=str)} is not valid" if place else f"{name!r} cannot be used"
    return Fault(place, f"{what}: {type(error).__name__}: {text}")
