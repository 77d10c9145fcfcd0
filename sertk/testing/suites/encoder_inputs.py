"""What decides the frames of an encoder: its options, which its fingerprint covers, and what it reads."""

from __future__ import annotations

import inspect
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from sertk.contracts import Encoder
from sertk.data.recording import Recording
from sertk.testing.suites.base import BrokenError, Subject, near, require
from sertk.testing.suites.encoded import built, encoded
from sertk.testing.suites.made_up_recordings import (
    OTHER_TEXT,
    elsewhere,
    long_recording,
    made_up_recordings,
    with_other_last_sound,
    with_other_last_words,
    with_other_sound,
    with_words,
    without_sound,
)
from sertk.testing.suites.second_values import second_values

EITHER = ("audio", "text")
READS = {"speech": ("audio",), "text": ("text",)}
"""What an encoder of a modality reads that has no `reads`; one of another modality may read either."""

Change = Callable[[Recording], Recording]


def fingerprint(subject: Subject) -> None:
    """Two builds have the same fingerprint. Each option that changes the frames, varied alone, changes the
    fingerprint.
    """
    encoder, another = built(subject), built(subject)  # both alive, so that no address serves twice
    first, again = encoder.fingerprint, another.fingerprint
    require(isinstance(first, str) and first != "", f"the fingerprint should be a text, got {first!r}")
    require(first == again, "two builds with the same options have two fingerprints")
    with made_up_recordings() as recordings:
        varied = _vary(subject, subject.other, recordings[:1])
        if subject.other:  # some options matter beside others alone, such as the overlap of windows
            unseen = [option for option, seen in varied.items() if not seen]
            beside = subject.varied(**subject.other)
            others = _vary(beside, _before(subject), recordings[:1], [*unseen, *subject.other])
            varied |= {option: seen or varied.get(option, False) for option, seen in others.items()}
    for option in [option for option, seen in varied.items() if option in subject.other and not seen]:
        raise BrokenError(
            f"with {option} = {subject.other[option]!r} alone the fingerprint stays the same, though `other` "
            f"promises other frames: put {option} into it"
        )


def reads(subject: Subject) -> None:
    """Frames depend only on what `reads` names: not on other words or sound, the name, the speaker or the labels.
    Without `reads` that is the audio for speech and the text for text.
    """
    encoder = built(subject)
    deciding = _deciding(encoder)
    allowed = deciding or EITHER
    with made_up_recordings() as recordings, tempfile.TemporaryDirectory() as folder:
        few, place = recordings[:2], Path(folder)
        frames = encoded(encoder, few)
        again = all(near(one, other) for one, other in zip(frames, encoded(encoder, few), strict=True))
        require(again, "the same recordings give other frames a second time, so that nothing decides them alone")
        for part, what, change in _changes(place):
            try:
                others = encoded(encoder, [change(recording) for recording in few])
            except BrokenError as error:
                require(part in allowed, f"{what}, and {error}. {_remedy(part, allowed)}")
                continue
            same = all(near(one, other) for one, other in zip(frames, others, strict=True))
            require(same or part in allowed, f"{what}, and the frames change. {_remedy(part, allowed)}")
            require(not same or part not in deciding, f"{what}, and no frame changes: take {part!r} out of `reads`")


def long_recordings(subject: Subject) -> None:
    """The last sound in twelve seconds and the last of 160 words affect the frames, unless `recording.remark` says
    that something was cut off.
    """
    encoder = built(subject)
    with tempfile.TemporaryDirectory() as folder:
        recording = long_recording(Path(folder))
        (frames,) = encoded(encoder, [recording])
        if recording.remarks:
            return
        ends = {
            "audio": ("the last two seconds of twelve", with_other_last_sound(recording, Path(folder))),
            "text": ("the last 16 of 160 words", with_other_last_words(recording)),
        }
        for part in _deciding(encoder):
            what, changed = ends[part]
            require(
                not near(frames, encoded(encoder, [changed])[0]),
                f"{what} change, and no frame does: read all, or note with `recording.remark` what was cut off",
            )


def _deciding(encoder: Encoder) -> tuple[str, ...]:
    """What an encoder promises to read; empty where neither `reads` nor its modality tells."""
    named = getattr(encoder, "reads", ())
    require(
        isinstance(named, tuple) and set(named) <= set(EITHER),
        f"`reads` should be a tuple out of {EITHER}, such as ('audio',), got {named!r}",
    )
    return named or READS.get(encoder.modality, ())


def _changes(folder: Path) -> list[tuple[str, str, Change]]:
    """What is changed, of which part it is, and how."""
    return [
        ("", "File name, id, speaker, language and labels are others", lambda r: elsewhere(r, folder)),
        ("text", "The words are others", lambda r: with_words(r, OTHER_TEXT)),
        ("text", "The words are missing", lambda r: with_words(r, None)),
        ("audio", "The sound is another", lambda r: with_other_sound(r, folder)),
        ("audio", "The sound's file is missing", lambda r: without_sound(r, folder)),
    ]


def _remedy(part: str, allowed: tuple[str, ...]) -> str:
    if not part:
        return "Read nothing but samples and words: of all else no store notices a change"
    return f"Name {part!r} in `reads`, which is {allowed}, or do not read it"


def _before(subject: Subject) -> dict[str, Any]:
    """The value that each option of `other` has without it."""
    parameters = inspect.signature(subject.factory).parameters
    values = {name: subject.options.get(name, parameters[name].default) for name in subject.other}
    return {name: value for name, value in values.items() if value is not inspect.Parameter.empty}


def _vary(
    base: Subject, given: Mapping[str, Any], recordings: list[Recording], only: list[str] | None = None
) -> dict[str, bool]:
    """Vary options one at a time, and require that equal fingerprints mean equal frames.

    given: values to try beside those that types suggest. Gives the options of which a value could be tried, and
    whether each value of it changed the fingerprint.
    """
    encoder = built(base)
    frames = encoded(encoder, recordings)
    varied: dict[str, bool] = {}
    for option, suggested in second_values(base).items():
        if only is not None and option not in only:
            continue
        for value in [given[option]] if option in given else suggested:
            other = _built_if_possible(base.varied(**{option: value}))
            if other is None:
                continue
            seen = other.fingerprint != encoder.fingerprint
            varied[option] = varied.get(option, True) and seen
            require(
                seen or _gives(other, recordings, frames),
                f"with {option} = {value!r} in place of {_current(base, option)} the frames change, and the "
                f"fingerprint stays the same: put {option} into it",
            )
    return varied


def _current(subject: Subject, option: str) -> str:
    """The value of an option, for a message."""
    return repr(subject.options[option]) if option in subject.options else "its default"


def _built_if_possible(subject: Subject) -> Encoder | None:
    """The encoder; None where it refuses its options, in whatever way."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return built(subject)
        except Exception:
            return None


def _gives(encoder: Encoder, recordings: list[Recording], frames: list[Tensor]) -> bool:
    """Whether an encoder gives these frames, or none."""
    try:
        others = encoded(encoder, recordings)
    except BrokenError:
        return True
    return all(near(one, other) for one, other in zip(frames, others, strict=True))
