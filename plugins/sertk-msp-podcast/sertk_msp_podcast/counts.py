"""How much each release of MSP-Podcast holds, and whether a folder holds just that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sertk.errors import DataError

SPLITS = ("train", "development", "test1", "test2", "test3")


@dataclass(frozen=True)
class Counts:
    """How many utterances and speakers a split has, how many rows the label files. Empty or None: not known.

    named: speakers with a number. unnamed: whether a split has utterances of an unknown speaker besides.
    """

    utterances: Mapping[str, int] = field(default_factory=dict)
    named: Mapping[str, int] = field(default_factory=dict)
    unnamed: Mapping[str, bool] = field(default_factory=dict)
    consensus_rows: int | None = None
    rater_rows: int | None = None


def _splits(*counts: int) -> dict[str, int]:
    return dict(zip(SPLITS, counts, strict=True))


RELEASES: dict[str, Counts] = {
    "1.6": Counts(),
    "1.7": Counts(),
    "1.8": Counts(),
    "1.9": Counts(),
    "1.10": Counts(),
    "1.11": Counts(_splits(84_030, 19_815, 30_647, 14_815, 2_347)),
    "1.12": Counts(_splits(112_712, 31_961, 44_395, 14_868, 3_200)),
    "2025": Counts(
        _splits(84_260, 31_961, 0, 0, 3_200),
        named={"train": 2_114, "development": 714},
        consensus_rows=116_221,
        rater_rows=649_102,
    ),
    "2.0": Counts(consensus_rows=264_705),
}
"""Release to its counts, as its readme has them; empty where none are known. 2025: the challenge of Interspeech."""


def identify(form: str, found: Counts) -> str | None:
    """The release that these counts are of; else the one whose label files have this form; None for several."""
    for name, release in RELEASES.items():
        if (release.utterances or release.consensus_rows) and not mismatches(name, found):
            return name
    return next((name for name in ("1.6", "2.0") if f"({name})" in form), None)


def mismatches(name: str, found: Counts) -> list[str]:
    """Where counts differ from a release's. Test3 counts only where it was found: without audio it may be in no list.

    Speakers: whether the published number has the unknown one in it is not said, so either is right.
    Raises DataError for an unknown release.
    """
    if name not in RELEASES:
        raise DataError(f"there is no release {name!r} of MSP-Podcast. Known: {', '.join(RELEASES)}.")
    release = RELEASES[name]
    faults = []
    for split, right in release.utterances.items():
        count = found.utterances.get(split, 0)
        if count != right and (split != "test3" or count):
            faults.append(f"{split}: {count:,} utterances, release {name} has {right:,}")
    for split, right in release.named.items():
        count = found.named.get(split, 0)
        if right - count not in ((0, 1) if found.unnamed.get(split) else (0,)):
            faults.append(f"{split}: {count:,} speakers, release {name} has {right:,}")
    for what, count_found, count_right in (
        ("consensus", found.consensus_rows, release.consensus_rows),
        ("raters", found.rater_rows, release.rater_rows),
    ):
        if count_right is not None and count_found != count_right:
            faults.append(f"{what}: {count_found or 0:,} rows, release {name} has {count_right:,}")
    return faults


def check_counts(
    release: str | None, form: str, found: Counts, *, allow_partial: bool
) -> tuple[str | None, list[str]]:
    """Name the release and where it differs. Raises DataError listing that, unless a part of a corpus is allowed."""
    name = release or identify(form, found)
    faults = mismatches(name, found) if name else ["the counts match no known release"]
    if faults and not allow_partial:
        have = ", ".join(f"{split} {count:,}" for split, count in found.utterances.items())
        lines = "\n".join(f"  {fault}" for fault in faults)
        raise DataError(
            f"this is not a complete release of MSP-Podcast:\n{lines}\n  found: {have}\n"
            f"  Complete it, give --release (known: {', '.join(RELEASES)}), or read a part with --allow-partial."
        )
    return name, faults
