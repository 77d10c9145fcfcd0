"""`sertk extract`: run encoders, or trained models, over a corpus and store what they give."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sertk.cli.output import duration, progress, say, up_to_date

if TYPE_CHECKING:
    from sertk.data.manifest import Utterance
    from sertk.features.extract import Progress, Target


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
    force: bool = typer.Option(False, help="Try again what a store's report lists as failed."),
    repair: bool = typer.Option(False, help="Compare all checksums first and extract again what is damaged."),
) -> None:
    """Fill feature stores in one pass over the audio; go on with what they have. `report.jsonl` lists failures."""
    from sertk.data.manifest import Manifest
    from sertk.data.recording import Recording
    from sertk.devices import choose_device
    from sertk.features.extract import extract

    part = _part(shard)
    if precision not in ("float32", "bfloat16", "float16"):
        raise typer.BadParameter(f"--precision is float32, bfloat16 or float16, got {precision!r}")
    corpus = Manifest.read(manifest)
    wanted = set(splits.split(",")) if splits else {u.split for u in corpus}
    for split in wanted - {None}:
        corpus.split(str(split))  # names the splits where there is no such
    utterances = [utterance for utterance in corpus.located() if utterance.split in wanted]
    for targets, chosen in _passes([_target(path, into) for path in encoders], utterances, unseen=unseen):
        with progress("extract", len(chosen)) as advance:
            done = 0

            def show(now: Progress) -> None:
                nonlocal done
                advance(now.done - done)
                done = now.done

            report = extract(
                targets,
                [Recording(utterance) for utterance in chosen],
                device=choose_device(device),
                precision=precision,  # type: ignore[arg-type]
                frame_budget=frame_budget,
                max_batch=max_batch,
                part=part,
                force=force,
                repair=repair,
                progress=show,
            )
        for target in report.targets:
            if target.written == 0 and report.up_to_date:
                up_to_date(target.folder)
                continue
            failed = f"  failed {len(target.failed)}, see report.jsonl" if target.failed else ""
            halved = f"  batch halved {target.halvings} times for memory" if target.halvings else ""
            mended = f"  made again {', '.join(target.repaired)}" if target.repaired else ""
            say(f"{target.folder}  written {target.written}  kept {target.kept}{failed}{halved}{mended}")
        if report.seconds:
            rate = report.seconds / max(report.elapsed, 1e-9)
            say(f"{duration(report.seconds)} of audio in {duration(report.elapsed)}: {rate:.1f} times real time")


def _target(path: Path, into: Path) -> Target:
    """An encoder file, or a trained model that reads the stores it was trained on."""
    from sertk import registry
    from sertk.checkpoint import is_checkpoint
    from sertk.config.build import build
    from sertk.config.files import load_encoder_file
    from sertk.config.schema import EncoderFile, Use
    from sertk.features.extract import Target, store_card

    if is_checkpoint(path):
        model = Use.model_validate({"use": "checkpoint", "folder": str(path), "from_stores": True})
        wanted = EncoderFile(encoder=model, dtype="float32")
    else:
        wanted = load_encoder_file(path)
    encoder = build(registry.encoders, wanted.encoder)
    card = store_card(wanted.encoder.use, wanted.encoder.options, encoder, dtype=wanted.dtype)
    return Target(into / path.stem, card, encoder)


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
