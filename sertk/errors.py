"""The tree of exceptions. Every message says what is wrong, where, and what would be right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches


class SertkError(Exception):
    """The root: whatever sertk raises on purpose. The command line prints it without a traceback."""


class RegistryError(SertkError):
    """A component could not be found or loaded."""


class UnknownNameError(RegistryError):
    """No plugin registers the name; the message has the nearest and the known names."""


class NameConflictError(RegistryError):
    """Two distributions register one name; the message names both."""


class BrokenPluginError(RegistryError):
    """A plugin is registered but cannot be imported; the message names its distribution."""


class DataError(SertkError):
    """A manifest, a label file or a corpus folder is not what it should be."""


class LabelError(DataError):
    """A label outside the label set, or an attribute outside its range."""


class AudioError(DataError):
    """A recording cannot be used; reported and skipped in bulk work, raised for a single file."""


class StoreError(SertkError):
    """A feature store is damaged, unfinished, or was made by another encoder."""


class EncoderError(SertkError):
    """An encoder cannot be loaded or does not fit its input."""


class WeightsNeeded(SertkError):
    """A component would load weights, where only its options are checked."""


class TrainingError(SertkError):
    """Training cannot go on: NaN loss, no usable utterances, a state of another experiment."""


class CheckpointError(SertkError):
    """A checkpoint is damaged, unfinished, or of another label order."""


class EnsembleError(SertkError):
    """Members cannot be combined: no common utterances, other label sets, other beginnings."""


class BusyError(SertkError):
    """Another process is at work on the same file or folder; the message names both."""


class PlatformError(SertkError):
    """The operating system lacks what is needed; the message names what works there."""


class OutputError(SertkError):
    """An output would replace what is not its verb's own earlier result, or fall on another; nothing was written."""


class RecipeError(SertkError):
    """A recipe or one of its stages failed; the message says how to go on."""


class TemplateError(SertkError):
    """A plugin or a recipe cannot be written: a bad name, one that is taken, or a folder that exists."""


class UsageError(SertkError):
    """Arguments that do not go together; the message says which do."""


class SertkWarning(UserWarning):
    """The root of warnings: something was done that the caller may not expect. The command line prints it."""


class LeftOutWarning(SertkWarning):
    """A recording or utterance could not be used and was left out."""


class MissingWordsWarning(SertkWarning):
    """A model reads words and a recording has none."""


class SpeakerWarning(SertkWarning):
    """A model that standardises by speaker knows too little of a speaker, and takes the training statistics."""


class EditedWarning(SertkWarning):
    """A result that somebody had edited was moved aside before it was written again."""


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a file: where it stands and what would be right."""

    place: str
    message: str


class ConfigError(SertkError):
    """All faults of a configuration file at once."""

    def __init__(self, source: str, faults: Sequence[Fault]) -> None:
        self.source = source
        self.faults = tuple(faults)
        width = max((len(fault.place) for fault in faults), default=0)
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        lines = [f"{source}: {count}"]
        lines += [f"  {fault.place:<{width}}  {fault.message}" for fault in faults]
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[str, tuple[Fault, ...]]]:
        """What makes it again in another process."""
        return ConfigError, (self.source, self.faults)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Give `"Did you mean 'x'? "` for the nearest known name, or an empty string."""
    near = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"Did you mean {near[0]!r}? " if near else ""
