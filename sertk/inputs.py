"""What an experiment reads, joined by utterance id: the manifest, the feature stores, the training and dev parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sertk.batching.dataset import FeatureSet, feature_set
from sertk.config.schema import Data, Experiment
from sertk.data.manifest import Manifest, Utterance
from sertk.data.splits import speaker_folds
from sertk.data.validation import shared_speakers, validate
from sertk.errors import ConfigError, DataError, Fault
from sertk.features.store import FeatureStore
from sertk.files import sha256_json


@dataclass(frozen=True)
class Inputs:
    """All that training reads. left_out: utterances that cannot be used, and why. text_source: whose words."""

    manifest: Manifest
    stores: dict[str, FeatureStore]
    train: FeatureSet
    dev: FeatureSet
    left_out: list[Fault]
    text_source: str | None
    fingerprint: str


def read_inputs(experiment: Experiment) -> Inputs:
    """Open everything and join it. Raises DataError for a faulty manifest, shared speakers or an empty part."""
    data = experiment.data
    manifest = read_valid(Path(data.manifest))
    stores = {name: FeatureStore.open(Path(folder)) for name, folder in experiment.features.items()}
    refuse_shared_speakers(manifest, data)
    sets: list[FeatureSet] = []
    left_out: list[Fault] = []
    train = training_part(manifest, data)
    for utterances in (train, manifest.split(data.dev)):
        joined, faults = feature_set(
            utterances,
            manifest.labels,
            manifest.ranges,
            stores,
            attributes=experiment.head.attributes,
            targets=data.targets,
            other=data.other,
        )
        sets.append(joined)
        left_out += faults
    uses_text = any(store.card.modality == "text" for store in stores.values())
    return Inputs(
        manifest=manifest,
        stores=stores,
        train=sets[0],
        dev=sets[1],
        left_out=left_out,
        text_source=", ".join(sorted({u.text_source or "none" for u in train})) if uses_text else None,
        fingerprint=inputs_fingerprint(experiment, manifest, {n: s.fingerprint for n, s in stores.items()}),
    )


def inputs_fingerprint(experiment: Experiment, manifest: Manifest, stores: dict[str, str]) -> str:
    """Changes with whatever decides the weights; not with the device or with where files lie."""
    model = experiment.model_dump(mode="json")
    for section, key in (("data", "manifest"), ("compute", "device"), ("compute", "threads")):
        del model[section][key]
    del model["features"]
    return sha256_json({"experiment": model, "manifest": manifest.fingerprint, "stores": stores})


def read_valid(path: Path) -> Manifest:
    """Read a manifest and refuse one with faults, naming the first ten."""
    manifest = Manifest.read(path)
    faults = validate(manifest)
    if faults:
        more = [Fault("...", f"and {len(faults) - 10} more; `sertk data fix` drops them")] if len(faults) > 10 else []
        raise ConfigError(str(path), [*faults[:10], *more])
    return manifest


def training_part(manifest: Manifest, data: Data) -> tuple[Utterance, ...]:
    """The utterances to train on: the train split or splits, without the fold that is left out."""
    splits = [data.train] if isinstance(data.train, str) else data.train
    utterances = manifest.split(*splits)
    if data.folds is None:
        return utterances
    out = speaker_folds(utterances, data.folds)[data.fold]
    return tuple(utterance for utterance in utterances if utterance.id not in out)


def refuse_shared_speakers(manifest: Manifest, data: Data) -> None:
    """Raise DataError when a speaker is in both the training and the dev part: scores would be too good."""
    splits = [data.train] if isinstance(data.train, str) else data.train
    for split in splits:
        shared = shared_speakers(manifest, split, data.dev)
        if shared:
            raise DataError(
                f"{data.manifest}: splits {split!r} and {data.dev!r} share {len(shared)} speakers "
                f"({', '.join(shared[:5])}): `sertk data split` makes a speaker-disjoint one"
            )
