"""The card of a checkpoint: how to read its weights, what it reads, and where it all comes from. No torch here."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from sertk.config.schema import Experiment
from sertk.errors import CheckpointError
from sertk.features.card import EXTERNAL, Dtype, StoreCard
from sertk.files import damaged, parse_json, parse_toml, sha256_json
from sertk.registry import REGISTRIES

LARGEST_TEXT = 64 << 20
"""Bytes of a text file of a checkpoint, at most: a folder from anywhere must not take the memory."""


@dataclass(frozen=True)
class EncoderSpec:
    """What made a modality's features, so that they can be made again from a recording.

    options: one that is `encoders/NAME` is that folder inside the checkpoint. owner: distribution and version that
    the encoder is from, where it was installed in training.
    """

    use: str
    options: dict[str, Any]
    fingerprint: str
    modality: str
    dim: int
    frames_per_second: float
    dtype: Dtype = "float32"
    challenge_legal: bool = True
    owner: str = ""

    def inside(self, name: str) -> bool:
        """Whether the encoder is inside the checkpoint, whose modality has that name."""
        return f"encoders/{name}" in self.options.values()


@dataclass(frozen=True)
class Card:
    """What stands beside the weights: how to read them, and where they come from.

    ranges: of the attributes of the head, in its order. prior: (C,) class prior of the training part.
    metrics: the value of the metric that chose the epoch. scores: by split, what `sertk score --card` adds.
    data_fingerprint: of the whole manifest, for people; what decides is in provenance.json. precision: of inference.
    fusion_version: of the fusion's component, when the model was made.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    labels: list[str]
    letters: str
    ranges: dict[str, tuple[float, float]]
    encoders: dict[str, EncoderSpec]
    prior: list[float]
    metrics: dict[str, Any]
    data_fingerprint: str
    versions: dict[str, str]
    text_source: str | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    weights_sha256: str = ""
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)
    precision: Literal["float32"] = "float32"
    fusion_version: str = ""
    sertk_checkpoint: Literal[2] = 2

    @property
    def challenge_legal(self) -> bool:
        """Whether no encoder was trained on emotion labels."""
        return all(spec.challenge_legal for spec in self.encoders.values())


_CARD = TypeAdapter(Card)


def read_card(folder: Path) -> Card:
    """Read a checkpoint's card. Raises CheckpointError for a folder that is no checkpoint."""
    path = folder / "card.json"
    try:
        content = read_bounded(path)
        _refuse_earlier(folder, content)
        card = _CARD.validate_json(content)
    except FileNotFoundError:
        raise CheckpointError(f"{folder} is not a checkpoint: it has no card.json") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise CheckpointError(f"{path}: not the card of a checkpoint, or damaged: {place} {first['msg']}") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from None
    for name, spec in card.encoders.items():
        if Path(name).name != name or name == "..":
            raise CheckpointError(f"{path}: the encoder name {name!r} is not a plain name: it would leave members/")
        inside = f"members/{name}"
        if spec.use == "checkpoint" and spec.options.get("folder") != inside:
            raise CheckpointError(
                f"{path}: the member {name!r} should lie in {inside!r}, got {spec.options.get('folder')!r}"
            )
    return card


def read_experiment(folder: Path) -> Experiment:
    """The experiment of a checkpoint; components that only training needs are not looked for."""
    path = folder / "config.toml"
    try:
        return Experiment.model_validate(parse_toml(read_bounded(path).decode()))
    except (OSError, ValueError) as error:  # pydantic's and TOML's errors are ValueErrors
        raise CheckpointError(f"{path}: not the experiment of a checkpoint: {error}") from None


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder looks like a checkpoint (and not like a feature store, which has a card too)."""
    return (folder / "model.safetensors").is_file() and (folder / "config.toml").is_file()


def has_its_members(folder: Path) -> bool:
    """Whether the members inside a checkpoint are those on its card, undamaged. Reads no weights but to hash them."""
    try:
        specs = read_card(folder).encoders.items()
        members = {name: folder / "members" / name for name, spec in specs if spec.use == "checkpoint"}
        found = {name: model_fingerprint(read_card(p), read_experiment(p)) for name, p in members.items()}
    except CheckpointError:
        return False
    return all(found.get(name, spec.fingerprint) == spec.fingerprint for name, spec in specs) and all(
        not damaged(path) and has_its_members(path) for path in members.values()
    )


def model_fingerprint(card: Card, experiment: Experiment) -> str:
    """Changes whenever a model's posteriors would: its weights, what they mean, and what the model reads."""
    return sha256_json(
        {
            "weights": card.weights_sha256,
            "labels": card.labels,
            "ranges": list(card.ranges.items()),
            "fusion": [experiment.fusion.model_dump(mode="json", exclude_none=True), card.fusion_version],
            "head": experiment.head.model_dump(mode="json", exclude_none=True),
            "standardise": experiment.standardise,
            **({"standardise_by": experiment.standardise_by} if experiment.standardise_by else {}),
            "encoders": [[name, spec.fingerprint, spec.dtype] for name, spec in card.encoders.items()],
        }
    )


def read_bounded(path: Path) -> bytes:
    """The bytes of a text file. Raises CheckpointError for what is not a regular file or is far too large."""
    refuse_irregular(path)
    with open(path, "rb") as file:
        content = file.read(LARGEST_TEXT + 1)
    if len(content) > LARGEST_TEXT:
        raise CheckpointError(f"{path}: larger than {LARGEST_TEXT >> 20} MiB: not a file of a checkpoint")
    return content


def refuse_irregular(path: Path) -> None:
    """Raise CheckpointError for a pipe or a device, which would keep a reader waiting for ever."""
    if path.exists() and not path.is_file():
        raise CheckpointError(f"{path}: not a regular file: not a file of a checkpoint")


def _refuse_earlier(folder: Path, content: bytes) -> None:
    try:
        row = parse_json(content)
    except ValueError:
        return
    if isinstance(row, dict) and "weights_sha256" in row and "sertk_checkpoint" not in row:
        raise CheckpointError(
            f"{folder} is a checkpoint of an earlier format, without a record of what it was made from: make it "
            f"again with `sertk train` or `sertk combine`"
        )


def owner_of(encoder: str) -> str:
    """Distribution and version that an encoder is from; empty where it is not installed."""
    component = REGISTRIES["encoder"].components().get(encoder)
    return component.owner if component else ""


def spec_of(name: str, card: StoreCard) -> tuple[EncoderSpec, Path | None]:
    """What a modality's store says of its encoder; and where a store holds a checkpoint's posteriors, its folder."""
    options, folder = dict(card.options), None
    if card.encoder == "checkpoint":
        folder = Path(options["folder"])
        options = {"folder": f"members/{name}"}
    spec = EncoderSpec(
        use=card.encoder,
        options=options,
        fingerprint=card.fingerprint,
        modality=card.modality,
        dim=card.dim,
        frames_per_second=card.frames_per_second,
        dtype=card.dtype,
        challenge_legal=card.challenge_legal,
        owner=owner_of(card.encoder),
    )
    return spec, folder


def refuse_external(spec: EncoderSpec) -> None:
    """Raise CheckpointError for features that another program made, where they are to be made of a recording."""
    if spec.use == EXTERNAL:
        raise CheckpointError(
            f"the model reads the features {spec.options.get('name', '')!r}, which were made outside of sertk, so "
            f"sertk cannot compute them for a recording: store them with `sertk data features` and predict a "
            f"corpus with --manifest"
        )


def versions(distributions: Mapping[str, str]) -> dict[str, str]:
    """The versions that made a checkpoint: Python, sertk, torch, and the distributions of its components."""
    names = ("sertk", "torch", "numpy", "safetensors")
    return {"python": platform.python_version(), **{name: version(name) for name in names}, **distributions}


def not_installed(owners: Iterable[str]) -> str:
    """What to install of the distributions (`NAME VERSION`) that something was made with; empty where all are."""
    lacking = [owner for owner in owners if owner and not _is_installed(owner.split()[0])]
    names = [owner.split()[0] for owner in lacking]
    return f"It was made with {', '.join(lacking)}: pip install {' '.join(names)}" if lacking else ""


def plugin_versions(experiment: Experiment) -> dict[str, str]:
    """Name and version of each distribution that an experiment's components come from."""
    uses = [("fusion", experiment.fusion)]
    for stage in experiment.stage:
        uses += [("sampler", stage.sampler), ("optimizer", stage.optimizer)]
        uses += [("regularizer", use) for use in stage.regularizers]
        uses += [("loss", term) for term in stage.loss]
    found = [REGISTRIES[kind].components().get(use.use) for kind, use in uses]
    return {component.distribution: component.version for component in found if component}


def _is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True
