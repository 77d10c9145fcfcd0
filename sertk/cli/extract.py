"""`sertk extract`: run encoders, or trained models, over a corpus and store what they give."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sertk.cli.engine import ADDRESS, ENGINE, GPUS, choose, needs
from sertk.cli.output import duration, progress, say, up_to_date

if TYPE_CHECKING:
    from sertk.config.schema import Use
    from sertk.data.manifest import Utterance
    from sertk.features.extract import ExtractReport, Progress, Target, TargetReport


def command(
    encoders: list[Path] = typer.Argument(..., help="Encoder files (TOML), or folders of trained models."),
    manifest: Path = typer.Option(..., help="The manifest (*.jsonl, *.jsonl.gz)."),
    into: Path = typer.Option(..., help="A folder that gets a feature store an encoder, named after it."),
    splits: str = typer.Option("", help="Only these splits: held_out,development. Without it: all."),
    unseen: bool = typer.Option(False, help="Only utterances that a trained model was not trained on."),
    device: str = typer.Option("auto", help="cpu, cuda, cuda:1 or auto."),
    precision: str = typer.Option("float32", help="Of computing: float32, bfloat16 or float16."),
    frame_budget: float = typer.Option(120.0, help="Seconds of audio in a batch, padding included."),
    max_batch: int = typer.Option(64, min=1, help="Recordings in a batch."),
    shard: str = typer.Option("0/1", help="i/n: the i-th of n processes that fill the same stores, from 0."),
    force: bool = typer.Option(False, help="Extract everything again."),
    retry: bool = typer.Option(False, help="Try again what a store's report lists as failed."),
    repair: bool = typer.Option(False, help="Compare all checksums first and extract again what is damaged."),
    jobs: int = typer.Option(1, min=1, help="Parts of the corpus encoded side by side, each in its own process."),
    engine: str = ENGINE,
    address: str | None = ADDRESS,
    gpus: float | None = GPUS,
) -> None:
    """Fill feature stores in one pass over the audio; go on with what they have. `report.jsonl` lists failures."""
    part = _part(shard)
    if precision not in ("float32", "bfloat16", "float16"):
        raise typer.BadParameter(f"--precision is float32, bfloat16 or float16, got {precision!r}")
    if jobs > 1 and (part[1] > 1 or repair):
        raise typer.BadParameter("--jobs makes parts of its own: leave out --shard, and repair before with one job")
    run_tasks = choose(engine, address, jobs)
    work = _Work(
        tuple(encoders),
        manifest,
        into,
        splits,
        unseen,
        device,
        precision,
        frame_budget,
        max_batch,
        force,
        retry,
        repair,
    )
    parts = [(number, jobs) for number in range(jobs)] if jobs > 1 else [part]
    alone = engine == "local" and jobs == 1
    tasks = [(work, each, alone) for each in parts]
    for reports in zip(*run_tasks(_extract, tasks, needs=needs(device, gpus)), strict=True):
        _show(reports)


@dataclass(frozen=True)
class _Work:
    """The options of a call, for whichever process does a part of it."""

    encoders: tuple[Path, ...]
    manifest: Path
    into: Path
    splits: str
    unseen: bool
    device: str
    precision: str
    frame_budget: float
    max_batch: int
    force: bool
    retry: bool
    repair: bool


def _extract(work: _Work, part: tuple[int, int], bar: bool) -> list[ExtractReport]:
    """One part of the corpus, in as many passes over it as `_passes` says. bar: show one."""
    from sertk.data.manifest import Manifest
    from sertk.data.recording import Recording
    from sertk.devices import choose_device
    from sertk.features.extract import extract
    from sertk.features.plan import of_part

    corpus = Manifest.read(work.manifest)
    wanted = set(work.splits.split(",")) if work.splits else {u.split for u in corpus}
    for split in wanted - {None}:
        corpus.split(str(split))  # names the splits where there is no such
    utterances = [utterance for utterance in corpus.located() if utterance.split in wanted]
    reports = []
    for targets, chosen in _passes(
        [_target(path, work, utterances) for path in work.encoders], utterances, unseen=work.unseen
    ):
        recordings = [Recording(utterance) for utterance in chosen]
        with progress("extract", len(of_part(recordings, part))) if bar else nullcontext() as advance:
            done = 0

            def show(now: Progress) -> None:
                nonlocal done
                if advance is not None:
                    pace = f"{now.hours_an_hour:.1f} hours of audio an hour  left {duration(now.seconds_left)}"
                    advance(now.done - done, pace)
                done = now.done

            reports.append(
                extract(
                    targets,
                    recordings,
                    device=choose_device(work.device),
                    frame_budget=work.frame_budget,
                    max_batch=work.max_batch,
                    part=part,
                    force=work.force,
                    retry=work.retry,
                    repair=work.repair,
                    progress=show,
                )
            )
    return reports


def _show(parts: Sequence[ExtractReport]) -> None:
    """What became of the stores of one pass, over all parts."""
    for targets in zip(*(part.targets for part in parts), strict=True):
        folder = targets[0].folder
        for difference in {t.renewed for t in targets} - {""}:
            say(f"{folder}  {difference}: extracted again")
        written, changed, kept = (sum(getattr(t, name) for t in targets) for name in ("written", "changed", "kept"))
        if written + changed == 0 and all(part.up_to_date for part in parts):
            up_to_date(folder)
            continue
        instead = f"  changed {changed}" if changed else ""
        say(f"{folder}  written {written}{instead}  kept {kept}{_remarks(targets)}")
    seconds, elapsed = sum(part.seconds for part in parts), max(part.elapsed for part in parts)
    if seconds:
        rate = seconds / max(elapsed, 1e-9)
        say(f"{duration(seconds)} of audio in {duration(elapsed)}: {rate:.1f} times real time")


def _remarks(targets: Sequence[TargetReport]) -> str:
    """What else became of a store, over all parts."""
    from sertk.features.card import read_card

    unchecked, failures = sum(t.unchecked for t in targets), sum(len(t.failed) for t in targets)
    halvings, again = sum(t.halvings for t in targets), [name for t in targets for name in t.repaired]
    error = read_card(targets[0].folder).error
    return "".join(
        [
            f" ({unchecked} of them unchecked: their recordings cannot be read)" if unchecked else "",
            f"  failed {failures}, see report.jsonl" if failures else "",
            f"  batch halved {halvings} times for memory" if halvings else "",
            f"  made again {', '.join(again)}" if again else "",
            f"  within {error:.1e} of float32" if error is not None else "",
        ]
    )


def _target(path: Path, work: _Work, utterances: Sequence[Utterance]) -> Target:
    """An encoder file, or a trained model that reads the stores it was trained on."""
    from sertk import registry
    from sertk.checkpoint import is_checkpoint
    from sertk.config.build import build
    from sertk.config.files import load_encoder_file
    from sertk.config.schema import EncoderFile, Use
    from sertk.features.extract import Target, store_card
    from sertk.preflight.complaints import build_of

    if is_checkpoint(path):
        model = Use.model_validate({"use": "checkpoint", "folder": str(path), "from_stores": True})
        wanted = EncoderFile(encoder=model, dtype="float32")
        encoder = build(registry.encoders, model)
    else:
        wanted = load_encoder_file(path)
        encoder = build_of(path, "encoder", registry.encoders, wanted.encoder)
    card = store_card(
        wanted.encoder.use, wanted.encoder.options, encoder, dtype=wanted.dtype, precision=work.precision
    )
    target = Target(work.into / path.stem, card, encoder)
    error = _error(target, wanted.encoder, work, utterances)
    return replace(target, card=replace(card, error=error))


def _error(target: Target, use: Use, work: _Work, utterances: Sequence[Utterance]) -> float | None:
    """What computing in less than float32 costs, measured where the store is new."""
    from sertk import registry
    from sertk.config.build import build
    from sertk.data.recording import Recording
    from sertk.devices import choose_device
    from sertk.features.card import FILE
    from sertk.features.error import error_to_float32

    reduced = use.options.get("dtype", "float32") != "float32"
    if (work.precision == "float32" and not reduced) or (target.folder / FILE).exists():
        return None
    reference = target.encoder
    if reduced:
        reference = build(registry.encoders, type(use).model_validate({**use.model_dump(), "dtype": "float32"}))
    return error_to_float32(
        target.encoder,
        reference,
        target.card,
        [Recording(utterance) for utterance in utterances],
        device=choose_device(work.device),
        precision=work.precision,  # type: ignore[arg-type]
    )


def _passes(
    targets: list[Target], utterances: list[Utterance], *, unseen: bool
) -> list[tuple[list[Target], list[Utterance]]]:
    """What goes over the audio together: all, or with `unseen` each model with what it has not seen."""
    if not unseen:
        return [(targets, utterances)]
    from sertk.checkpoint import Checkpoint

    passes = []
    for target in targets:
        if target.card.encoder != "checkpoint":
            raise typer.BadParameter(f"--unseen is for trained models, {target.folder.name} is an encoder file")
        seen = Checkpoint.load(Path(target.card.options["folder"])).train_ids
        passes.append(([target], [utterance for utterance in utterances if utterance.id not in seen]))
    return passes


def _part(shard: str) -> tuple[int, int]:
    number, slash, count = shard.partition("/")
    if not (slash and number.isdigit() and count.isdigit() and int(number) < int(count)):
        raise typer.BadParameter(f"--shard is i/n with i from 0 to n-1, such as 2/8, got {shard!r}")
    return int(number), int(count)
