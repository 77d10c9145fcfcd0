"""What predictions are made from: the planner of `predict`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sertk.data.find import find_files, recordings_of
from sertk.data.manifest import Manifest
from sertk.data.recording import Recording
from sertk.digests import file_digests
from sertk.encoders.reads import model_parts, reads_of, reads_recordings, refuse_stale_leaves
from sertk.escapes import escaped
from sertk.features.sources import Read, source_digests
from sertk.files import sha256_json
from sertk.inputs import located
from sertk.models.classifier import INFERENCE
from sertk.provenance import Provenance, from_here

VERB = "predict"
REVISION = 1
"""Of predicting itself: raised whenever a model of the same fingerprint says something else of the same input."""


def provenance(
    *,
    model: str,
    manifest: str = "",
    split: str = "",
    audio: Sequence[str] = (),
    text: str | None = None,
    same_speaker: bool = False,
) -> Provenance:
    """What the predictions of a model are made from: stored features of a split, or recordings.

    audio: files and folders. text: the words of a single recording. same_speaker: of all of them. Raises SertkError
    for what cannot be read, and StoreError for features of other content than the manifest has now.
    """
    folder = Path(model)
    parts = {"revision": str(REVISION), "inference": INFERENCE}
    call: dict[str, Any] = {"model": from_here(folder)}
    if not audio:
        corpus = Manifest.read(Path(manifest))
        utterances = located(corpus, corpus.split(split))
        ids, stored = [utterance.id for utterance in utterances], not reads_recordings(folder)
        reads = reads_of(folder, stored=stored)
        if stored:
            refuse_stale_leaves(folder, utterances)
        else:
            read: list[Read] = ["audio", "text"] if "text" in reads.modalities else ["audio"]
            parts["recordings"] = sha256_json(source_digests(read, [Recording(each) for each in utterances]))
        parts |= {"ids": sha256_json(ids), **model_parts("model", folder, ids if stored else None)}
        call |= {"manifest": from_here(Path(manifest)), "split": split}
        paths = (folder, Path(manifest), *reads.leaves.values())
        return Provenance(VERB, parts, call, [from_here(path) for path in paths])
    words = "text" in reads_of(folder, stored=False).modalities
    files, unread = find_files(map(Path, audio))
    recordings, unfit = recordings_of(files, text=text, words=words)
    utterances = [recording.utterance for recording in recordings]
    content = file_digests([Path(utterance.audio) for utterance in utterances])
    parts |= {"ids": sha256_json([utterance.id for utterance in utterances]), **model_parts("model", folder, None)}
    parts["recordings"] = sha256_json([content[Path(utterance.audio)] for utterance in utterances])
    parts["left out"] = sha256_json([escaped(fault.place) for fault in (*unread, *unfit)])
    if same_speaker:
        parts["same speaker"] = "true"
        call["same_speaker"] = True
    if words:
        parts["words"] = sha256_json([utterance.text for utterance in utterances])
    call |= {"audio": [escaped(from_here(Path(path))) for path in audio], "text": text}
    return Provenance(VERB, parts, call, [from_here(folder)])
