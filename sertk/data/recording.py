"""An utterance with its samples, read once however many encoders ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sertk.data.audio import audio_info, check_samples, read_audio, resampled
from sertk.data.manifest import Utterance


@dataclass(frozen=True)
class Recording:
    """An utterance whose `audio` is an absolute path, or one with its samples given by rate (Hz).

    Given samples are resampled where another rate is asked for; no file is read then.

    remarks: what was done to it since `copy`, such as cutting its transcript; one thread at a time works on a copy.
    """

    utterance: Utterance
    given: Mapping[int, NDArray[np.float32]] = field(default_factory=dict, repr=False)
    remarks: list[str] = field(default_factory=list, repr=False, compare=False)
    _read: dict[int, NDArray[np.float32]] = field(default_factory=dict, repr=False, compare=False)
    _read_with: list[str] = field(default_factory=list, repr=False, compare=False)

    @property
    def id(self) -> str:
        """The utterance's id."""
        return self.utterance.id

    @property
    def seconds(self) -> float:
        """Duration, from the manifest where it says so, else from the header. Raises AudioError for a bad one."""
        for sample_rate, samples in (*self.given.items(), *self._read.items()):
            return len(samples) / sample_rate
        u = self.utterance
        return u.duration if u.duration is not None else audio_info(Path(u.audio)).seconds - u.start

    def copy(self) -> Recording:
        """The same recording without remarks; samples that are read from its file are forgotten with it."""
        return Recording(self.utterance, self.given, _read=dict(self._read), _read_with=[*self._read_with])

    def remark(self, message: str) -> None:
        """Note what is done to a recording that is used all the same; stores list it in `remarks.jsonl`."""
        if message not in self.remarks:
            self.remarks.append(message)

    def waveform(self, sample_rate: int = 16_000) -> NDArray[np.float32]:
        """(samples,) in -1..1 at the rate asked for. Raises AudioError for a recording that cannot be used."""
        if sample_rate in self.given:
            check_samples(self.id, self.given[sample_rate])
            return self.given[sample_rate]
        if sample_rate not in self._read and self.given:
            best = max(self.given)
            check_samples(self.id, self.given[best])
            self._read[sample_rate] = resampled(self.given[best], best, sample_rate)
        if sample_rate not in self._read:
            u = self.utterance
            self._read[sample_rate] = read_audio(
                Path(u.audio),
                sample_rate=sample_rate,
                start=u.start,
                duration=u.duration,
                remark=self._read_with.append,
            )
        for message in self._read_with:  # whoever reads it, not only the first
            self.remark(message)
        return self._read[sample_rate]
