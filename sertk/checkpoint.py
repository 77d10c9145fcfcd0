"""A trained model as a folder: config.toml, model.safetensors, card.json, train_ids.txt.gz, README.md (model card).

An ensemble is a checkpoint whose members are folders inside it, `members/NAME`. A checkpoint may have the weights of
its encoders in `encoders/NAME`. Loaded and saved whole.
"""

# Longer than others: a folder is written, read and checked against hostile content in one place.
from __future__ import annotations

import gzip
import os
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from sertk.cards import (
    Card,
    model_fingerprint,
    not_installed,
    read_bounded,
    read_card,
    read_experiment,
    refuse_irregular,
)
from sertk.config.files import resolved_toml
from sertk.config.schema import Experiment
from sertk.data.labels import LabelSet
from sertk.errors import CheckpointError, OutputError, UnknownNameError
from sertk.features.store import FeatureStore
from sertk.files import SUMS, atomic_folder, damaged, parse_json, sha256_file, write_json, write_sums, write_text
from sertk.model_card import model_card
from sertk.models.classifier import Classifier, build_classifier
from sertk.models.fitting import build_to_fit
from sertk.provenance import Provenance, write_record
from sertk.revisions import component_version
from sertk.tensors import save_tensors

LARGEST_IDS = 1 << 30
"""Bytes of the list of training ids, unpacked, at most."""


@dataclass(frozen=True)
class Checkpoint:
    """A model with all that is needed to use it, judge it and combine it.

    folder: where it lies, None before it is saved. train_ids: the utterances that it was fitted on.
    """

    experiment: Experiment
    card: Card
    weights: Mapping[str, Tensor]
    train_ids: frozenset[str] = frozenset()
    folder: Path | None = None

    @property
    def label_set(self) -> LabelSet:
        """The classes, in the order of the logits."""
        return LabelSet(tuple(self.card.labels), self.card.letters)

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """The attributes, in the order of the outputs."""
        return tuple(self.card.ranges)

    @property
    def fingerprint(self) -> str:
        """Changes whenever the model's output would; that of a member is on the card of its ensemble."""
        return model_fingerprint(self.card, self.experiment)

    def member_folder(self, name: str) -> Path:
        """The folder of a modality that is itself a checkpoint."""
        if self.folder is None:
            raise CheckpointError(f"the checkpoint {self.card.name!r} is not saved, so its members have no folder")
        return self.folder / "members" / name

    def member(self, name: str) -> Checkpoint:
        """The checkpoint of a modality, from inside. Raises CheckpointError unless it is the one on the card."""
        member, spec = Checkpoint.load(self.member_folder(name)), self.card.encoders[name]
        if member.fingerprint != spec.fingerprint:
            raise CheckpointError(
                f"{member.folder} is not the member that {self.folder} was made with: its fingerprint is "
                f"{member.fingerprint[:12]}, on the ensemble's card it is {spec.fingerprint[:12]}. Copy the ensemble "
                f"again, or combine its members again."
            )
        return member

    def classifier(self) -> Classifier:
        """The network with its weights, in evaluation mode. Raises CheckpointError where they do not fit."""

        def build() -> Classifier:
            return build_classifier(
                self.experiment.fusion,
                self.experiment.head,
                dims={name: spec.dim for name, spec in self.card.encoders.items()},
                classes=len(self.card.labels),
                ranges=list(self.card.ranges.values()),
                seed=self.experiment.init_seed,
                standardise=self.experiment.standardise,
            )

        try:
            return build_to_fit(build, self.weights).eval()
        except CheckpointError as error:
            raise CheckpointError(f"{self.folder}: the weights do not fit config.toml: {error}") from None
        except UnknownNameError as error:
            owners = [f"{name} {number}" for name, number in self.card.versions.items() if name != "python"]
            raise CheckpointError(f"{self.folder}: {error} {not_installed(owners)}".strip()) from None

    @staticmethod
    def load(folder: Path) -> Checkpoint:
        """Read a checkpoint folder. Raises CheckpointError naming the file that is missing or damaged."""
        card = read_card(folder)
        weights_path, ids_path = folder / "model.safetensors", folder / "train_ids.txt.gz"
        try:
            for path in (folder / SUMS, weights_path, ids_path):
                refuse_irregular(path)
            broken = damaged(folder, but=weights_path.name)
            if broken:
                raise CheckpointError(
                    f"{folder}: {', '.join(broken)}: missing, damaged or edited, by SHA256SUMS; make it again, or "
                    f"delete SHA256SUMS to use it as it is"
                )
            if sha256_file(weights_path) != card.weights_sha256:
                raise CheckpointError(
                    f"{weights_path}: damaged: its checksum is not the one in card.json; train again"
                )
            with gzip.open(ids_path) as file:
                content = file.read(LARGEST_IDS + 1)
            if len(content) > LARGEST_IDS:
                raise CheckpointError(f"{ids_path}: more than {LARGEST_IDS >> 20} MiB: no list of training ids")
            train_ids = frozenset(content.decode().splitlines())
            weights = load_file(weights_path)
        except (OSError, EOFError, UnicodeDecodeError, zlib.error, SafetensorError) as error:
            raise CheckpointError(f"{folder}: unfinished or damaged: {error}") from None
        experiment = read_experiment(folder)
        if experiment.features.keys() != card.encoders.keys():
            raise CheckpointError(
                f"{folder}: config.toml reads {', '.join(experiment.features)}, card.json {', '.join(card.encoders)}"
            )
        return Checkpoint(experiment, card, weights, train_ids, folder)

    def save(
        self,
        folder: Path,
        members: Mapping[str, Path] | None = None,
        texts: Mapping[str, str] | None = None,
        made: Provenance | None = None,
        place: Path | None = None,
        encoders: Mapping[str, Path] | None = None,
    ) -> Checkpoint:
        """Write the folder, whole or not at all, and see that it loads; give the saved one.

        members: folders of checkpoints, linked (or copied) into `members/NAME`. texts: further files by name. made:
        what it was made from. place: where the folder will be, if that is elsewhere. encoders: folders of encoders,
        linked into `encoders/NAME`.
        """
        with atomic_folder(folder) as temporary:
            save_tensors(temporary / "model.safetensors", self.weights)
            version = self.card.fusion_version or component_version("fusion", self.experiment.fusion.use)
            sha256 = sha256_file(temporary / "model.safetensors")
            card = replace(self.card, weights_sha256=sha256, fusion_version=version)
            inside = {f"members/{name}": member for name, member in (members or {}).items()}
            inside |= {f"encoders/{name}": encoder for name, encoder in (encoders or {}).items()}
            for place_inside, source in inside.items():
                shutil.copytree(source, temporary / place_inside, copy_function=_link, ignore=_unneeded)
            for name, text in (texts or {}).items():
                write_text(temporary / name, text)
            write_text(temporary / "config.toml", resolved_toml(self.experiment))
            packed = gzip.compress("\n".join(sorted(self.train_ids)).encode(), mtime=0)
            (temporary / "train_ids.txt.gz").write_bytes(packed)
            write_text(temporary / "README.md", model_card(asdict(card), card.challenge_legal, self.experiment))
            write_json(temporary / "card.json", asdict(card))
            if made is not None:
                write_record(temporary, made, place=place or folder)
            write_sums(temporary)
            saved = Checkpoint.load(temporary)
            saved.classifier()
            load_members(saved)
        return replace(self, card=card, folder=folder)


def load_members(checkpoint: Checkpoint) -> None:
    """See that all members inside load. Raises CheckpointError for one other than the one on the card."""
    for name, spec in checkpoint.card.encoders.items():
        if spec.use == "checkpoint":
            load_members(checkpoint.member(name))


def checkpoint_of_store(store: FeatureStore) -> Checkpoint:
    """The checkpoint whose posteriors a store holds. Raises CheckpointError where it is another one by now."""
    checkpoint = Checkpoint.load(Path(store.card.options["folder"]))
    if checkpoint.fingerprint != store.card.fingerprint:
        raise CheckpointError(
            f"{store.folder} holds the posteriors of an earlier state of {checkpoint.folder}: extract them again"
        )
    return checkpoint


def refuse_additions(folder: Path) -> None:
    """Raise OutputError for a checkpoint that is to be replaced and in which somebody put files of their own."""
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    expected = {SUMS, "members", "encoders", "state", *(line.partition("  ")[2] for line in lines)}
    added = sorted(
        path.name for path in folder.iterdir() if path.name not in expected and not path.name.startswith(".")
    )
    if added:
        raise OutputError(
            f"{folder} would be replaced and has files that sertk did not write ({', '.join(added[:3])}): move them "
            f"away, or choose another output"
        )


def same_labels(cards: Mapping[str, Card]) -> LabelSet:
    """The label set that all have, in the same order. Raises CheckpointError naming the first that differs."""
    (first, reference), *others = cards.items()
    for name, other in others:
        if other.labels != reference.labels or [*other.ranges] != [*reference.ranges]:
            raise CheckpointError(
                f"{name} predicts {other.labels} and {[*other.ranges]}, {first} predicts "
                f"{reference.labels} and {[*reference.ranges]}: both must agree, order included"
            )
    return LabelSet(tuple(reference.labels), reference.letters)


def _link(source: str, target: str) -> None:
    """Link the file itself, not a link to it, which might be relative to where it is."""
    real = Path(source).resolve()
    if not real.is_file():
        raise CheckpointError(f"{source}: not a regular file: not a file of a checkpoint")
    try:
        os.link(real, target)
    except OSError:  # another file system
        shutil.copy2(real, target)


def _unneeded(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name in {"state", ".lock"}]


def read_history(folder: Path) -> list[dict[str, Any]]:
    """The epochs of a checkpoint's training, one a line of history.jsonl; empty where it was not trained.

    Raises CheckpointError for a damaged one.
    """
    path = folder / "history.jsonl"
    try:
        rows = [parse_json(line) for line in read_bounded(path).decode().splitlines()]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: damaged: {error}") from None
    if not all(isinstance(row, dict) for row in rows):
        raise CheckpointError(f"{path}: damaged: every line should be one epoch, an object")
    return rows
