"""A manifest as rows of lhotse."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sertk.data.audio import AudioInfo
from sertk.data.manifest import Manifest, Utterance
from sertk.data.packed import open_text
from sertk.files import atomic_path
from sertk_corpora.lhotse import CUSTOM

FILES = ("recordings.jsonl.gz", "supervisions.jsonl.gz")


def write_files(corpus: Manifest, infos: Mapping[str, AudioInfo], folder: Path) -> None:
    """Write recordings and supervisions. infos: headers by the absolute path of a recording."""
    stems = Counter(Path(path).stem for path in infos)
    names = {path: Path(path).stem if stems[Path(path).stem] == 1 else path for path in infos}
    recordings = [_recording(names[path], path, info) for path, info in infos.items()]
    ranges = {name: [*both] for name, both in corpus.ranges.items()}
    header: dict[str, Any] = {
        "corpus": corpus.corpus,
        "labels": [*corpus.labels.names],
        "letters": corpus.labels.letters,
    }
    header |= {"ranges": ranges, "note": corpus.note}
    supervisions = [_supervision(u, names[u.audio], infos[u.audio], header) for u in corpus.located()]
    for name, rows in zip(FILES, (recordings, supervisions), strict=True):
        _write(folder / name, rows)


def _recording(name: str, path: str, info: AudioInfo) -> dict[str, Any]:
    channels = [*range(info.channels)]
    source = {"type": "file", "channels": channels, "source": path}
    size = {"sampling_rate": info.sample_rate, "num_samples": info.frames, "duration": info.seconds}
    return {"id": name, "sources": [source], **size, "channel_ids": channels}


def _supervision(u: Utterance, recording: str, info: AudioInfo, header: Mapping[str, Any]) -> dict[str, Any]:
    custom = {name: value for name in ("emotion", *CUSTOM) if (value := getattr(u, name))}
    duration = round(info.seconds - u.start, 6) if u.duration is None else u.duration
    row = {"id": u.id, "recording_id": recording, "start": u.start, "duration": duration}
    row["channel"] = 0 if info.channels == 1 else [*range(info.channels)]
    row |= {name: getattr(u, name) for name in ("text", "language", "speaker", "gender")}
    return {name: value for name, value in row.items() if value is not None} | {"custom": custom | {"sertk": header}}


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with atomic_path(path) as temporary, open_text(temporary, "w", like=path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
