"""The corpus's own words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sertk.data.recording import Recording
from sertk.revisions import revision


@revision(1)
def corpus() -> CorpusWords:
    """The words that the corpus comes with; nothing is recognised."""
    return CorpusWords()


@dataclass(frozen=True)
class CorpusWords:
    """Gives each utterance's `text` as the manifest has it."""

    source: str = "corpus"
    reads: tuple[str, ...] = ("text",)

    def __call__(self, recordings: Sequence[Recording]) -> list[str | None]:
        """The words of each recording; None where the corpus has none."""
        return [recording.utterance.text for recording in recordings]
