"""The words of a transcriber, kept beside the manifest that it wrote, so that only changes are transcribed again.

A file of JSON lines: what decides the transcriber's words, then an utterance a line with the digest of what it was
transcribed from. Each line is whole once it is there, so an interrupted run goes on behind the last one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sertk.files import parse_json, sha256_json, write_text, writing


@dataclass(frozen=True)
class Transcription:
    """What was transcribed of one utterance. content: the digest of what from. text: None where error says why."""

    id: str
    content: str
    text: str | None
    error: str = ""

    @property
    def line(self) -> str:
        """As the file has it, with a digest of its own."""
        row = [self.id, self.content, self.text, self.error]
        return json.dumps([*row, _digest(row)], ensure_ascii=False) + "\n"


class Words:
    """The file of words, open for more. of: the transcriber's parts. anew: forget what is there."""

    def __init__(self, path: Path, of: Mapping[str, str], *, anew: bool = False) -> None:
        self.path = path
        self.transcribed: dict[str, Transcription] = {}
        self.before: dict[str, str] = dict(of)
        """The parts of the transcriber whose words are there."""
        self._of = dict(of)
        if not anew and path.is_file():
            self._read()
        self._file: IO[str] | None = None

    def __enter__(self) -> Words:
        """Write what is known, without damaged lines, and go on behind it."""
        self._write(self.transcribed.values())
        self._file = open(self.path, "a", encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            with writing(self.path):
                self._file.close()

    def add(self, transcribed: Iterable[Transcription]) -> None:
        """Keep the words of a batch on disk."""
        assert self._file is not None
        with writing(self.path):
            for one in transcribed:
                self.transcribed[one.id] = one
                self._file.write(one.line)
            self._file.flush()
            os.fsync(self._file.fileno())

    def sort(self, ids: Iterable[str]) -> None:
        """Write the file anew with these ids first, in their order: the same words give the same bytes."""
        order = dict.fromkeys([*ids, *sorted(self.transcribed)])
        self._write(self.transcribed[id] for id in order if id in self.transcribed)

    def _write(self, transcribed: Iterable[Transcription]) -> None:
        write_text(self.path, json.dumps(self._of) + "\n" + "".join(one.line for one in transcribed))

    def _read(self) -> None:
        head, *lines = self.path.read_text(encoding="utf-8", errors="replace").split("\n")
        try:
            found = parse_json(head)
            self.before = {str(name): str(value) for name, value in found.items()}
        except (ValueError, AttributeError):
            return  # damaged: nobody knows whose words these are
        if self.before != self._of:
            return
        for line in lines:
            try:
                *row, digest = parse_json(line)
                if digest == _digest(row):
                    self.transcribed[row[0]] = Transcription(*row)
            except (ValueError, TypeError):
                continue  # torn by an interruption, or damaged: it is transcribed again


def _digest(row: list[str | None]) -> str:
    return sha256_json(row)[:16]
