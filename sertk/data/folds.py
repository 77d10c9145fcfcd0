"""Cross-validation: a fold for every utterance, and the training, held-out and test parts of each fold."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from sertk.data.manifest import Manifest, Utterance
from sertk.data.splits import hold_out, speaker_folds
from sertk.errors import DataError

Folds = int | Literal["speakers", "given"] | None
"""How many folds of speakers, one speaker in each, those of the manifest, or (None) whichever it has."""
TRAIN, HELD_OUT, TEST = "train", "held_out", "test"


@dataclass(frozen=True)
class Division:
    """A corpus divided for cross-validation.

    manifest: with `fold` set for each utterance that is tested; the others have none. names: of the folds, in order.
    how: in words. without: utterances that belong to no fold.
    """

    manifest: Manifest
    names: tuple[str, ...]
    how: str
    without: int

    def fold(self, name: str, dev: float | Literal["next"] = "next") -> Manifest:
        """The corpus with the splits of one fold: it is `test`; `held_out` and `train` share the others.

        dev: `next`, the fold after it is held out; or the share of the others that is, by whole speakers. Raises
        DataError for a class that the training part lacks, and for too few speakers to hold a share out.
        """
        if dev == "next" and len(self.names) < 3:
            raise DataError(
                "of two folds one is tested and the next held out, which leaves nothing to train on: choose three or "
                "more, or hold out a share of the training part: --dev 0.1"
            )
        after = self.names[(self.names.index(name) + 1) % len(self.names)] if dev == "next" else ""

        def split(fold: str | None) -> str | None:
            if fold is None:
                return None
            return TEST if fold == name else HELD_OUT if fold == after else TRAIN

        made = self.manifest.with_utterances(replace(u, split=split(u.fold)) for u in self.manifest)
        if dev != "next":
            made = hold_out(made, TRAIN, into=HELD_OUT, share=dev)
        missing = sorted(_classes(u for u in made if u.split) - _classes(made.split(TRAIN)))
        if missing:
            raise DataError(
                f"fold {name}: no utterance of its training part is {' or '.join(missing)}, so no model could "
                f"predict it: choose fewer folds, or give folds that spread the class over more speakers"
            )
        return made

    def chosen(self, only: Collection[str]) -> list[str]:
        """These folds, in order; all for none. Raises DataError for one that there is not."""
        if unknown := sorted({*only} - {*self.names}):
            raise DataError(f"there is no fold {unknown[0]!r}: the folds are {', '.join(self.names)}")
        return [name for name in self.names if not only or name in only]

    def pooled(self, only: Collection[str] = ()) -> Manifest:
        """All that is tested, as one split. only: by these folds; none means all."""
        names = self.chosen(only)
        tested = (replace(u, split=TEST) for u in self.manifest if u.fold in names)
        alone = "" if len(names) == len(self.names) else f"fold {' and '.join(names)} alone"
        note = "; ".join(filter(None, [self.manifest.note, f"cross-validation, {self.how}", alone]))
        return replace(self.manifest.with_utterances(tested), note=note)


def divide(
    manifest: Manifest, folds: Folds = None, *, splits: tuple[str, ...] = (), by_recording: bool = False
) -> Division:
    """Give each utterance its fold, whole speakers at a time.

    folds: a number (stratified by class as far as speakers allow), `speakers` for one speaker in each, `given` for
    those of the manifest, None for those or else 5. splits: only these utterances are divided; none means all.
    by_recording: an utterance whose speaker is unknown counts, with its copies, as a speaker of its own. Raises
    DataError for unknown speakers, fewer speakers than folds, and given folds that share a speaker.
    """
    part = manifest.split(*splits) if splits else manifest.utterances
    if folds is None:
        folds = "given" if any(u.fold is not None for u in part) else 5
    unknown = [u.id for u in part if u.speaker is None and not (folds == "given" and u.fold is None)]
    if unknown and not by_recording:
        raise DataError(
            f"the speakers of {len(unknown)} of {len(part)} utterances are unknown ({', '.join(unknown[:3])}): the "
            f"same voice may be trained on and tested, and scores be too good. Name the speakers, or ask for "
            f"folds by recording"
        )
    fold_of = _given(part) if folds == "given" else _by_speaker(part, folds)
    names = tuple(sorted(dict.fromkeys(fold_of.values()), key=_natural))
    if len(names) < 2:
        found = f"of one only ({names[0]})" if names else "of none"
        raise DataError(f"cross-validation needs two folds or more; the utterances have a fold {found}")
    about = [part for part in manifest.note.split("; ") if not part.startswith("fold ")]  # of its one test part
    made = replace(manifest, note="; ".join(about))
    made = made.with_utterances(replace(u, fold=fold_of.get(u.id)) for u in manifest)
    what = {"given": "as given", "speakers": "one speaker in each"}.get(str(folds), "by speaker")
    how = f"{len(names)} folds {what}" + (f"; {len(unknown)} unknown speakers, by recording" if unknown else "")
    return Division(made, names, how, without=len(manifest) - len(fold_of))


def _given(part: tuple[Utterance, ...]) -> dict[str, str]:
    fold_of = {u.id: u.fold for u in part if u.fold is not None}
    tested: dict[str, set[str]] = defaultdict(set)
    for utterance in part:
        if utterance.fold is not None:
            tested[utterance.speaker or utterance.origin].add(utterance.fold)
    shared = sorted(speaker for speaker, names in tested.items() if len(names) > 1)
    if shared:
        raise DataError(
            f"{len(shared)} speakers are in several of the given folds ({', '.join(shared[:5])}): each would be "
            f"trained on and tested. Let folds be made by speaker: --folds 5"
        )
    return fold_of


def _by_speaker(part: tuple[Utterance, ...], folds: int | Literal["speakers"]) -> dict[str, str]:
    own = [u if u.speaker else replace(u, speaker=f"\0{u.origin}") for u in part]  # no speaker's name has such a sign
    if folds == "speakers":
        return {u.id: (u.speaker or "").lstrip("\0") for u in own}
    speakers = len({u.speaker for u in own})
    if folds < 2:
        raise DataError(f"cross-validation needs two folds or more, got {folds}")
    if speakers < folds:
        raise DataError(f"{speakers} speakers cannot be divided into {folds} folds: give fewer")
    parts = speaker_folds(own, folds)
    return {id: str(number) for number, ids in enumerate(parts, start=1) for id in ids}


def _classes(utterances: Iterable[Utterance]) -> set[str]:
    """Those that some utterance has as its emotion, or any vote for."""
    return {name for u in utterances for name in (u.emotion, *(c for c, votes in u.votes.items() if votes)) if name}


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts `fold2` before `fold10`."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
