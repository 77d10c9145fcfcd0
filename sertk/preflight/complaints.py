"""What components complain of while they are built and tried, as faults of the file that names them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sertk.config.build import build, complaint
from sertk.config.schema import Use
from sertk.errors import ConfigError, DataError, Fault, SertkError, WeightsNeeded
from sertk.registry import Registry

T = TypeVar("T")


def complaints(place: str, use: Use, attempt: Callable[[], object], *, made_up: bool = False) -> list[Fault]:
    """The faults that an attempt with a component ends with; none where it succeeds.

    place: of the component in the file. made_up: the data is, so what is wrong with it is no fault. A component that
    would load weights counts as sound: what does not fit its weights is refused when they are loaded.
    """
    try:
        attempt()
    except WeightsNeeded:
        return []
    except ConfigError as error:
        return [_at(place, use, fault) for fault in error.faults]
    except DataError as error:
        return [] if made_up else [Fault(place, str(error))]
    except SertkError as error:
        return [Fault(place, str(error))]
    except Exception as error:  # whatever a stranger's component raises that was built but cannot be used
        return [_at(place, use, complaint(use.use, use.options, error))]
    return []


def build_of(path: Path, place: str, registry: Registry, use: Use) -> Any:
    """Build a component that a file names. Raises ConfigError, naming file and place, for what it complains of."""
    built: list[Any] = []
    faults = complaints(place, use, lambda: built.append(build(registry, use)))
    if faults:
        raise ConfigError(str(path), faults)
    return built[0]


def alike(find: Callable[[T], list[Fault]], given: Sequence[T]) -> list[Fault]:
    """The faults that are found in all trials, word for word.

    given: of each trial. They differ in all that is made up (widths, classes, utterances), so what is found in all
    is of the options alone.
    """
    first, *others = given
    faults = find(first)
    for other in others if faults else []:
        again = find(other)
        faults = [fault for fault in faults if fault in again]
    return faults


def _at(place: str, use: Use, fault: Fault) -> Fault:
    if fault.place in use.options:
        return Fault(f"{place}.{fault.place}", fault.message)
    return Fault(place, f"{fault.place}: {fault.message}" if fault.place else fault.message)
