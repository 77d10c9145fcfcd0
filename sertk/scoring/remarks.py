"""What limits the figures of a score, in sentences that every output shows beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sertk.ensemble.by_ending import nearly
from sertk.scoring.bootstrap import FEWEST
from sertk.scoring.sufficient_stats import TOO_FEW_OF_A_CLASS

if TYPE_CHECKING:
    from sertk.scoring.score import ClassScore, Score

OVER_ALL_CLASSES = ("uar", "balanced_macro_f1")


def remarks(score: Score, *, by_class: bool = True) -> tuple[str, ...]:
    """Sentences on how ids were joined, on the classes averaged over, on what was resampled, on missing intervals.

    by_class: those on the F1 of single classes too.
    """
    sentences = [score.joined] if score.joined else []
    near = nearly(score.missing["in the scored splits"], score.missing["in the predictions"])
    if near:
        sentences.append(
            f"{len(near)} of the ids that are not in the scored splits differ only in spaces or case from ids "
            f"without a prediction ({near[0][0]!r} from {near[0][1]!r})"
        )
    if score.classes and len(score.averaged_over) < len(score.classes):
        sentences.append(f"macro-F1 averages over the classes true or predicted: {', '.join(score.averaged_over)}")
    if not score.speakers:
        sentences.append(
            "no speaker is known, so utterances are resampled one by one: where one speaker says several, the "
            "intervals are too narrow"
        )
    elif score.unknown_speakers:
        sentences.append(
            f"{score.unknown_speakers} of {score.utterances} utterances have no known speaker and are resampled one "
            f"by one"
        )
    noun = "speaker" if score.speakers else "utterance"
    if score.effective_clusters < FEWEST - 1e-9:
        count = score.speakers + score.unknown_speakers
        return (
            *sentences,
            f"no intervals: {_count(count, noun)}, effectively {_few(score.effective_clusters)} ({_least(noun)})",
        )
    return (*sentences, *_of_classes(score, noun, by_class), *_of_metrics(score, noun))


def _of_classes(score: Score, noun: str, by_class: bool) -> list[str]:
    """On classes that too few speakers have."""
    sentences = []
    few = [item for item in score.classes if item.support and item.effective_clusters < FEWEST - 1e-9]
    fewest = [item for item in few if item.effective_clusters <= TOO_FEW_OF_A_CLASS + 1e-9]
    if few and by_class:
        sentences.append(
            f"no interval of the F1 of {_named(few, noun)}: too few to show how much it varies between {noun}s"
        )
    if fewest:
        sentences.append(
            f"no interval of UAR and balanced macro-F1, which depend on {_named(fewest, noun)}; that of "
            f"macro-F1 does not reflect how such a class varies between {noun}s"
        )
    return sentences


def _of_metrics(score: Score, noun: str) -> list[str]:
    """On metrics that fewer utterances have than all, such as those of attributes."""
    without = [
        name
        for name, metric in score.metrics.items()
        if metric.low is None and metric.value == metric.value and name not in OVER_ALL_CLASSES
    ]
    return [f"no interval of {', '.join(without)}: too few {noun}s have it ({_least(noun)})"] if without else []


def _named(classes: Sequence[ClassScore], noun: str) -> str:
    return ", ".join(f"{item.name} ({_count(item.clusters, noun)})" for item in classes)


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" + "s" * (count != 1)


def _few(effective: float) -> str:
    return f"{effective:.1f}".removesuffix(".0")


def _least(noun: str) -> str:
    return f"an interval needs {FEWEST:g} effective {noun}s"
