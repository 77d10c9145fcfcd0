"""Run encoders, or trained models, over a corpus and store what they give."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from sertk.engine import HERE, Placement
from sertk.errors import UsageError
from sertk.extraction import Extraction, refuse_outputs
from sertk.extraction.run import extract_part
from sertk.features.card import Precision
from sertk.features.extract import ExtractReport
from sertk.features.progress import Progress, progress_file, read_progress, together, write_progress

SECONDS_BETWEEN_LOOKS = 0.5
"""How often parts say how far they are, and are asked."""


def extract(
    encoders: str | Path | Sequence[str | Path],
    manifest: str | Path,
    *,
    into: str | Path,
    splits: Sequence[str] = (),
    device: str = "auto",
    precision: Precision = "float32",
    frame_budget: float = 120.0,
    max_batch: int = 64,
    shard: tuple[int, int] = (0, 1),
    force: bool = False,
    retry: bool = False,
    repair: bool = False,
    on: Placement = HERE,
    watch: Callable[[Progress], None] | None = None,
) -> list[ExtractReport]:
    """Fill feature stores in one pass over the audio; go on with what they have.

    Parameters
    ----------
    encoders
        Encoder files (TOML), or folders of trained models.
    manifest
        The manifest of the corpus.
    into
        A folder that gets one feature store per encoder, named after it. `report.jsonl` in each lists failures.
    splits
        Only these; none means all.
    device
        `cpu`, `cuda`, `cuda:1` or `auto`.
    precision
        Of computing: `float32`, `bfloat16` or `float16`.
    frame_budget
        Seconds of audio in a batch, padding included.
    max_batch
        Recordings in a batch.
    shard
        (i, n): the i-th of n processes that fill the same stores, from 0.
    force, retry, repair
        Extract everything again; what a report lists as failed; what does not match its checksum.
    on
        How many parts of the corpus are encoded side by side, or a Ray cluster.
    watch
        Called now and then with how far all parts are.

    Returns
    -------
    list of ExtractReport
        One per part of the corpus.

    Raises
    ------
    SertkError
        OutputError for a folder that is no store, StoreError for a store of another encoder or of a model whose
        features are out of date.
    """
    if on.jobs > 1 and (shard[1] > 1 or repair):
        raise UsageError("--jobs makes parts of its own: leave out --shard, and repair before with one job")
    on.check()
    paths = [encoders] if isinstance(encoders, str | Path) else encoders
    work = Extraction(
        encoders=tuple(map(Path, paths)),
        manifest=Path(manifest),
        into=Path(into),
        splits=tuple(splits),
        device=device,
        precision=precision,
        frame_budget=frame_budget,
        max_batch=max_batch,
        force=force,
        retry=retry,
        repair=repair,
    )
    refuse_outputs(work)
    if on.here:
        return [extract_part(work, shard, progress=watch)]
    numbers = [(number, on.jobs) for number in range(on.jobs)] if on.jobs > 1 else [shard]
    with _watched(work, numbers, watch):
        return on.run(_extract, [(work, each) for each in numbers], device=device)


def _extract(work: Extraction, part: tuple[int, int]) -> ExtractReport:
    """One part of the corpus, in a process of its own, which writes into a file how far it is."""
    path = progress_file(work.stores[0], part)
    latest = 0.0

    def note(now: Progress) -> None:
        nonlocal latest
        if time.monotonic() - latest >= SECONDS_BETWEEN_LOOKS or now.done == now.total:
            write_progress(path, now)
            latest = time.monotonic()

    return extract_part(work, part, progress=note)


@contextmanager
def _watched(
    work: Extraction, parts: Sequence[tuple[int, int]], watch: Callable[[Progress], None] | None
) -> Iterator[None]:
    """Say from another thread how far all parts are together."""
    paths = [progress_file(work.stores[0], part) for part in parts]
    for path in paths:
        path.unlink(missing_ok=True)  # of a run that was killed
    over = Event()

    def look() -> None:
        while watch is not None:
            ended = over.wait(SECONDS_BETWEEN_LOOKS)
            watch(together(read_progress(paths)))
            if ended:
                return

    thread = Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        for path in paths:
            path.unlink(missing_ok=True)
