"""A recipe's stages before they run: what goes in, what comes out, and whether it fits."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from sertk import registry
from sertk.config.build import build
from sertk.config.files import load_encoder_file, load_experiment
from sertk.config.schema import Experiment
from sertk.data.manifest import Manifest, Utterance
from sertk.data.recording import Recording
from sertk.data.targets import label_table
from sertk.errors import AudioError, DataError, RecipeError
from sertk.features.plan import spoken_seconds
from sertk.inputs import training_part
from sertk_lab.planning.calibrate import steps_a_second
from sertk_lab.planning.encoders import EncoderPlan, plan_encoder
from sertk_lab.planning.memory import TrainingMemory, training_memory

TRANSCRIBER_PARAMETERS = {"openai/whisper-large-v3": 1_543_490_560}
"""Of transcription models, decoder included."""


@dataclass(frozen=True)
class StagePlan:
    """One line of the plan. hours: of audio that go in. disk, memory: bytes. work: in units of `unit`.

    rate: the key of `--rate` that gives units a second; seconds: None without a rate. basis: of memory and time.
    """

    stage: str
    what: str
    hours: float | None
    disk: int
    memory: int | None
    work: float
    unit: str
    rate: str
    seconds: float | None
    basis: str


@dataclass(frozen=True)
class Plan:
    """All stages; what does not fit is in `faults`. details: of the largest model."""

    stages: tuple[StagePlan, ...]
    faults: tuple[str, ...]
    largest: tuple[str, TrainingMemory] | None
    utterances: int
    hours: float
    free_disk: int

    @property
    def disk(self) -> int:
        """Bytes of all stages."""
        return sum(stage.disk for stage in self.stages)

    @property
    def seconds(self) -> float | None:
        """Of all stages one after another; None where some has no rate."""
        known = [stage.seconds for stage in self.stages if stage.work]
        return None if None in known else sum(seconds for seconds in known if seconds is not None)


def plan_recipe(
    conf: Path, manifest: Manifest, exp: Path, *, rates: Mapping[str, float], gpu_memory: int | None
) -> Plan:
    """Plan the stages of a folder of configuration files (`encoders/`, `members/`) on a manifest.

    rates: units a second, by `STAGE.NAME` or `STAGE`: times real time for `transcribe` and `extract`, steps for
    `train`. gpu_memory: bytes; None where there is no limit to hold against. Raises SertkError for faulty files, and
    where nothing says how long any recording is.
    """
    encoders, members = _files(conf)
    utterances = manifest.located()
    seconds = sum(spoken_seconds(Recording(utterance)) for utterance in utterances)
    if utterances and not seconds:
        raise DataError(
            f"the manifest has no durations, and none of {len(utterances)} recordings could be read. "
            f"The first: {_why_unread(utterances[0])}"
        )
    stages = [_transcription(conf, utterances, seconds, rates)]
    plans = {
        path.stem: plan_encoder(path.stem, load_encoder_file(path), utterances, exp / "features" / path.stem)
        for path in encoders
    }
    for one in plans.values():
        left = seconds * (1 - one.done / max(1, len(utterances)))
        stages.append(_extraction(one, left, rates))
    largest: tuple[str, TrainingMemory] | None = None
    for path in members:
        stage, memory = _training(path.stem, load_experiment(path), manifest, plans, rates)
        stages.append(stage)
        if largest is None or memory.total > largest[1].total:
            largest = (path.stem, memory)
    free = shutil.disk_usage(next(p for p in (exp.absolute(), *exp.absolute().parents) if p.exists())).free
    disk = sum(stage.disk for stage in stages)
    faults = [
        f"{stage.stage} {stage.what}: needs {size(stage.memory)} of GPU memory, there are {size(gpu_memory)}"
        for stage in stages
        if gpu_memory is not None and stage.memory is not None and stage.memory > gpu_memory
    ]
    if disk > free:
        faults.append(f"disk: needs {size(disk)}, {size(free)} are free at {exp}")
    return Plan(tuple(stages), tuple(faults), largest, len(utterances), seconds / 3600, free)


def _why_unread(utterance: Utterance) -> str:
    try:
        return f"{utterance.id} has {Recording(utterance).seconds:g} s"
    except AudioError as error:
        return str(error)


def size(count: int) -> str:
    """Bytes as people read them: 23.5 GB, 410 MB."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count / 1e3:.3g} kB"


def parse_size(text: str) -> int:
    """`24GB`, `24 GiB` or a number of bytes. Raises DataError for anything else."""
    match = re.fullmatch(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kMGT]?i?B?)", text.strip())
    if not match:
        raise DataError(f"{text!r} is not a size: write 24GB, 24GiB or a number of bytes")
    unit = match["unit"].removesuffix("B")
    power = "kMGT".index(unit[0]) + 1 if unit else 0
    scale: int = (1024 if unit.endswith("i") else 1000) ** power
    return round(float(match["number"]) * scale)


def _transcription(
    conf: Path, utterances: Sequence[Utterance], seconds: float, rates: Mapping[str, float]
) -> StagePlan:
    """What settings.sh names; nothing to compute where the words are the corpus's own."""
    settings = conf / "settings.sh"
    found = re.search(r"--model\s+(\S+?)\)?\s", settings.read_text(encoding="utf-8")) if settings.is_file() else None
    if found is None:
        return StagePlan("transcribe", "the corpus's own words", seconds / 3600, 0, None, 0, "", "", 0.0, "")
    parameters = TRANSCRIBER_PARAMETERS.get(found[1])
    memory = None if parameters is None else 4 * parameters
    basis = "weights in float32; activations not counted" if memory else "model not known"
    return StagePlan(
        "transcribe", found[1], seconds / 3600, 200 * len(utterances), memory, seconds, "s of audio",
        *_timed("transcribe", "", seconds, rates), basis,
    )  # fmt: skip


def _extraction(one: EncoderPlan, seconds: float, rates: Mapping[str, float]) -> StagePlan:
    basis = one.basis if not one.weights else f"{one.basis}; memory: weights, activations not counted"
    return StagePlan(
        "extract", one.name, seconds / 3600, one.disk, one.weights or None, seconds, "s of audio",
        *_timed("extract", one.name, seconds, rates), basis,
    )  # fmt: skip


def _training(
    name: str,
    experiment: Experiment,
    manifest: Manifest,
    plans: Mapping[str, EncoderPlan],
    rates: Mapping[str, float],
) -> tuple[StagePlan, TrainingMemory]:
    read = {feature: Path(store).name for feature, store in experiment.features.items()}
    lacking = sorted(set(read.values()) - plans.keys())
    if lacking:
        raise RecipeError(f"member {name} reads {', '.join(lacking)}, which no file of encoders/ makes")
    steps, batch = _steps(experiment, manifest)
    memory = training_memory(
        experiment,
        dims={feature: plans[store].dim for feature, store in read.items()},
        frames={feature: plans[store].longest for feature, store in read.items()},
        batch=batch,
        classes=len(manifest.labels),
    )
    disk = memory.weights * 3 + memory.optimizer  # training state, best weights, checkpoint
    what = f"{name} ({', '.join(read)})"
    basis = f"{memory.parameters / 1e6:.1f} M parameters; batch {batch} at the longest utterance"
    timed = _timed("train", name, steps, rates)
    return StagePlan("train", what, None, disk, memory.total, steps, "steps", *timed, basis), memory


def _steps(experiment: Experiment, manifest: Manifest) -> tuple[int, int]:
    """Optimizer steps if no stage stops early, and the largest batch in utterances."""
    data = experiment.data
    try:
        train = training_part(manifest, data)
    except DataError:  # the held-out part is not split off yet
        train = manifest.split(*([data.train] if isinstance(data.train, str) else data.train))
    table, _ = label_table(
        train, manifest.labels, manifest.ranges, attributes=experiment.head.attributes,
        targets=data.targets, other=data.other,
    )  # fmt: skip
    steps, largest = 0, 1
    for stage in experiment.stage:
        sampler = build(registry.samplers, stage.sampler, table, experiment.seed)
        steps += stage.epochs * -(-len(sampler) // stage.accumulate)
        sampler.set_epoch(0)
        largest = max(largest, len(next(iter(sampler))))
    return steps, largest


def _files(conf: Path) -> tuple[list[Path], list[Path]]:
    encoders, members = (sorted((conf / name).glob("*.toml")) for name in ("encoders", "members"))
    if not encoders or not members:
        raise RecipeError(
            f"{conf} is not a folder of configuration files: it needs encoders/*.toml and members/*.toml"
        )
    return encoders, members


def _timed(stage: str, name: str, work: float, rates: Mapping[str, float]) -> tuple[str, float | None]:
    key = next((key for key in (f"{stage}.{name}", stage) if key in rates), stage)
    return key, work / rates[key] if key in rates else None


def calibrated_rate(conf: Path, manifest: Manifest, exp: Path, device: torch.device) -> float:
    """Steps a second of the first member of a folder, on utterances of mean duration."""
    experiment = load_experiment(_files(conf)[1][0])
    utterances = manifest.located()
    read = {feature: Path(store).name for feature, store in experiment.features.items()}
    plans = {
        store: plan_encoder(
            store, load_encoder_file(conf / "encoders" / f"{store}.toml"), utterances, exp / "features" / store
        )
        for store in read.values()
    }
    seconds = [spoken_seconds(Recording(utterance)) for utterance in utterances]
    share = sum(seconds) / len(seconds) / max(*seconds, 1e-9)
    return steps_a_second(
        experiment,
        dims={feature: plans[store].dim for feature, store in read.items()},
        frames={feature: max(1, round(plans[store].longest * share)) for feature, store in read.items()},
        batch=_steps(experiment, manifest)[1],
        classes=len(manifest.labels),
        device=device,
    )
