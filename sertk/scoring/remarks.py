"""What limits the figures of a score, in sentences that every output shows beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sertk.scoring.bootstrap import FEWEST
from sertk.scoring.tallies import FEWEST_OF_EACH_CLASS

if TYPE_CHECKING:
    from sertk.scoring.score import ClassScore, Score

OVER_ALL_CLASSES = ("uar", "balanced_macro_f1")


def remarks(score: Score) -> tuple[str, ...]:
    """Sentences on the classes that are averaged over, on what was resampled, and on intervals that are not given."""
    found = []
    if score.classes and len(score.averaged_over) < len(score.classes):
        found.append(f"macro-F1 averages over the classes true or predicted: {', '.join(score.averaged_over)}")
    if not score.speakers:
        found.append(
            "no speaker is known, so utterances are resampled one by one: where one speaker says several, the "
            "intervals are too narrow"
        )
    elif score.unknown_speakers:
        found.append(
            f"{score.unknown_speakers} of {score.utterances} utterances have no known speaker and are resampled one "
            f"by one"
        )
    noun = "speaker" if score.speakers else "utterance"
    if score.effective_clusters < FEWEST - 1e-9:
        count = score.speakers + score.unknown_speakers
        return (
            *found,
            f"no intervals: {_count(count, noun)}, effectively {_few(score.effective_clusters)} ({_least(noun)})",
        )
    return (*found, *_of_classes(score, noun), *_of_metrics(score, noun))


def _of_classes(score: Score, noun: str) -> list[str]:
    """On classes that too few speakers have."""
    found = []
    few = [one for one in score.classes if one.support and one.effective_clusters < FEWEST - 1e-9]
    fewest = [one for one in few if one.effective_clusters < FEWEST_OF_EACH_CLASS - 1e-9]
    if few:
        found.append(f"no interval of the F1 of {_named(few, noun)}: nothing tells how it varies between {noun}s")
    if fewest:
        found.append(
            f"no interval of UAR and balanced macro-F1, which rest on {_named(fewest, noun)}; that of macro-F1 does "
            f"not know how such a class varies between {noun}s"
        )
    return found


def _of_metrics(score: Score, noun: str) -> list[str]:
    """On metrics that fewer utterances have than all, such as those of attributes."""
    without = [
        name
        for name, one in score.metrics.items()
        if one.low is None and one.value == one.value and name not in OVER_ALL_CLASSES
    ]
    return [f"no interval of {', '.join(without)}: too few {noun}s have it ({_least(noun)})"] if without else []


def _named(classes: Sequence[ClassScore], noun: str) -> str:
    return ", ".join(f"{one.name} ({_count(one.clusters, noun)})" for one in classes)


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" + "s" * (count != 1)


def _few(effective: float) -> str:
    return f"{effective:.1f}".removesuffix(".0")


def _least(noun: str) -> str:
    return f"an interval needs {FEWEST:g} effective {noun}s"
