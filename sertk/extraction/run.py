"""One part of an extraction."""

from __future__ import annotations

from collections.abc import Callable

from sertk.data.recording import Recording
from sertk.devices import choose_device
from sertk.encoders.checkpoint import CheckpointEncoder
from sertk.extraction import Extraction
from sertk.extraction.targets import chosen_utterances, target_of
from sertk.features.extract import ExtractReport, extract
from sertk.features.progress import Progress
from sertk.features.stale import refuse_stale


def extract_part(
    work: Extraction, part: tuple[int, int] = (0, 1), *, progress: Callable[[Progress], None] | None = None
) -> ExtractReport:
    """Do one part of the corpus, in one pass over it.

    Raises StoreError for a model that reads features of other content than the utterances have now.
    """
    utterances = chosen_utterances(work.manifest, work.splits)
    targets = [
        target_of(path, store, work, utterances) for path, store in zip(work.encoders, work.stores, strict=True)
    ]
    for target in targets:
        if isinstance(target.encoder, CheckpointEncoder):
            for store in target.encoder.stores.values():
                refuse_stale(store, utterances)
    return extract(
        targets,
        [Recording(utterance) for utterance in utterances],
        device=choose_device(work.device),
        frame_budget=work.frame_budget,
        max_batch=work.max_batch,
        part=part,
        force=work.force,
        retry=work.retry,
        repair=work.repair,
        progress=progress,
    )
