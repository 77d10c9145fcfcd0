"""`sertk plan`: what a recipe will take on a corpus, stage by stage, and whether it fits."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sertk.cli.output import fail, say, say_json, show
from sertk.progress import duration
from sertk.tables import Table

if TYPE_CHECKING:
    from sertk.data.manifest import Manifest
    from sertk_lab.planning.plan import Plan


def command(
    recipe: Path = typer.Argument(..., help="A recipe's folder or run.sh, or a folder with encoders/ and members/."),
    corpus: Path | None = typer.Option(None, help="The folder of the corpus, as `sertk run` takes it."),
    manifest: Path | None = typer.Option(None, help="A manifest of the corpus instead."),
    reader: str = typer.Option("msp_podcast", help="The reader of the corpus, as `sertk data prepare` names it."),
    preset: str = typer.Option("paper", help="paper, or the name of a folder in the recipe's conf/."),
    exp: Path | None = typer.Option(None, help="The experiment folder: results in it count as done."),
    gpu_memory: str | None = typer.Option(
        None, help="Memory of the GPU, such as 24GB or 24GiB. Default: that of the local GPU."
    ),
    rate: list[str] = typer.Option(
        [], metavar="STAGE[.NAME]=NUMBER", help="A measured rate: extract.wavlm=180 (times real time), train=3.2."
    ),
    calibrate: bool = typer.Option(False, "--calibrate", help="Time the first member for 10 s on this device."),
    device: str = typer.Option("auto", help="cpu, cuda, cuda:1 or auto, to calibrate on."),
    as_json: bool = typer.Option(False, "--json", help="Write JSON for programs."),
) -> None:
    """Print audio hours, disk, GPU memory and time of each stage, before any work; fail if it does not fit."""
    from sertk_lab.planning.plan import parse_size, plan_recipe

    if (corpus is None) == (manifest is None):
        raise typer.BadParameter("give --corpus FOLDER or --manifest FILE")
    folder = recipe.parent if recipe.is_file() else recipe
    is_recipe = (folder / "run.sh").is_file()
    here = folder / "conf" if is_recipe else folder
    conf = here if preset == "paper" else here / preset
    where = exp or (folder / "exp" / preset if is_recipe else Path())
    read = _manifest(corpus, manifest, reader)
    rates = dict(_rate(text) for text in rate)
    limit = parse_size(gpu_memory) if gpu_memory else _gpu_here()
    if calibrate:
        rates |= _calibrated(conf, read, where, device)
    plan = plan_recipe(conf, read, where, rates=rates, gpu_memory=limit)
    if as_json:
        say_json({**asdict(plan), "disk": plan.disk, "seconds": plan.seconds})
    else:
        _show(plan, limit, calibrate)
    for fault in plan.faults:
        fail(f"does not fit: {fault}")
    if plan.faults:
        raise typer.Exit(1)


def _manifest(corpus: Path | None, manifest: Path | None, reader: str) -> Manifest:
    from sertk.corpora import read_corpus
    from sertk.data.manifest import Manifest

    if manifest is not None:
        return Manifest.read(manifest)
    assert corpus is not None
    return read_corpus(reader, corpus, {"allow_partial": True})[0]


def _rate(text: str) -> tuple[str, float]:
    key, equals, number = text.partition("=")
    try:
        value = float(number)
        if not equals or not value > 0:
            raise ValueError
    except ValueError:
        raise typer.BadParameter(f"--rate is STAGE[.NAME]=NUMBER, as train=3.2, got {text!r}") from None
    return key, value


def _gpu_here() -> int | None:
    import torch

    return torch.cuda.get_device_properties(0).total_memory if torch.cuda.is_available() else None


def _calibrated(conf: Path, manifest: Manifest, exp: Path, device: str) -> dict[str, float]:
    from sertk.devices import choose_device
    from sertk_lab.planning.plan import calibrated_rate

    return {"train": calibrated_rate(conf, manifest, exp, choose_device(device))}


def _show(plan: Plan, limit: int | None, calibrated: bool) -> None:
    from sertk_lab.planning.plan import size

    say(f"{plan.utterances:,} utterances, {plan.hours:.1f} h of audio")
    rows = [
        (
            one.stage,
            one.what,
            "" if one.hours is None else f"{one.hours:.1f}",
            size(one.disk) if one.disk else "",
            "" if one.memory is None else size(one.memory),
            f"{one.work:,.0f} {one.unit}" if one.work else "",
            "" if not one.work else f"give --rate {one.rate}=" if one.seconds is None else duration(one.seconds),
            one.basis,
        )
        for one in plan.stages
    ]
    heads = ("stage", "what", "hours", "disk", "GPU memory", "work at most", "time", "based on")
    show(Table(heads, rows, align="llrrrrrl"))
    say()
    if plan.largest:
        name, m = plan.largest
        say(
            f"largest member {name}: weights {size(m.weights)}, gradients {size(m.gradients)}, optimizer "
            f"{size(m.optimizer)}, half-precision copies {size(m.casts)}, batch {size(m.batch)}, activations "
            f"{size(m.activations)}, working space {size(m.working)}: {size(m.total)}"
        )
    of_gpu = (
        "no GPU here and no --gpu-memory: GPU memory not checked" if limit is None else f"GPU memory {size(limit)}"
    )
    whole = "unknown: some stage has no rate" if plan.seconds is None else duration(plan.seconds)
    how = "; train: timed here, features not read" if calibrated else ""
    say(f"disk {size(plan.disk)} of {size(plan.free_disk)} free; {of_gpu}; time {whole}{how}")
    if not plan.faults:
        say("it fits" if limit is not None else "the disk is large enough")
