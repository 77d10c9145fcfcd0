"""What a feature store would be made from now, and which of its utterances differ: asked by `sertk why`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sertk.data.recording import Recording
from sertk.extraction import Extraction
from sertk.extraction.targets import chosen_utterances, made_by, target_of
from sertk.features.choice import choose_of
from sertk.features.task import content_now
from sertk.provenance import Provenance


def provenance(*, encoder: str, manifest: str, into: str, splits: Sequence[str] = (), precision: str) -> Provenance:
    """What a store would be made from now, by its encoder's card, and how many utterances are to be extracted."""
    found = differences(encoder=encoder, manifest=manifest, into=into, splits=splits, precision=precision)
    return found.provenance


@dataclass(frozen=True)
class Differences:
    """How a store differs from what `sertk extract` would make of it now.

    provenance: of what it would make. changed: ids whose content differs. new: ids that it has not, and whose failure
    is not in its report. gone: ids that it has and the call no longer names.
    """

    provenance: Provenance
    changed: list[str]
    new: list[str]
    gone: list[str]


def differences(*, encoder: str, manifest: str, into: str, splits: Sequence[str] = (), precision: str) -> Differences:
    """Compare a store with its encoder and its corpus as they are now. The arguments are those of its record."""
    work = Extraction(
        (Path(encoder),),
        Path(manifest),
        Path(into),
        tuple(splits),
        precision=precision,  # type: ignore[arg-type]
    )
    utterances = chosen_utterances(work.manifest, work.splits)
    (store,) = work.stores
    target = target_of(work.encoders[0], store, work, utterances, measure=False)
    (now,) = content_now([target], [Recording(utterance) for utterance in utterances])
    choice = choose_of(store, target.card, now)
    new = choice.wanted - choice.again
    made = made_by(target.card, work, changed=len(choice.again), new=len(new))
    return Differences(made, sorted(choice.again), sorted(new), sorted(choice.gone))
