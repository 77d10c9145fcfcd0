"""What an experiment reads, joined by utterance id: the manifest, the feature stores, the training and dev parts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sertk.batching.dataset import FeatureSet, feature_set
from sertk.config.schema import Data, Experiment
from sertk.data.copies import shared_recordings
from sertk.data.labels import LabelTable
from sertk.data.manifest import Manifest, Utterance
from sertk.data.speakers import Speakers, speakers_of
from sertk.data.validation import shared_speakers, validate
from sertk.errors import ConfigError, DataError, Fault
from sertk.features.stale import refuse_stale
from sertk.features.store import FeatureStore
from sertk.files import sha256_json
from sertk.models.by_speaker import BySpeaker
from sertk.models.standardise import moments


@dataclass(frozen=True)
class Inputs:
    """All that training reads. left_out: utterances that cannot be used, and why. text_source: whose words.

    parts: what was read, as parts of the key of whatever is trained on it. Of the manifest that is the labels,
    targets and speakers of the two parts; of each store the utterances of these.
    """

    manifest: Manifest
    stores: dict[str, FeatureStore]
    train: FeatureSet
    dev: FeatureSet
    left_out: list[Fault]
    text_source: str | None
    parts: Mapping[str, str]


def read_inputs(experiment: Experiment) -> Inputs:
    """Open everything and join it. Raises DataError for a faulty manifest, shared speakers or an empty part.

    Raises StoreError for features that were extracted from other content than the manifest has now.
    """
    data = experiment.data
    manifest = read_valid(Path(data.manifest))
    stores = {name: FeatureStore.open(Path(folder)) for name, folder in experiment.features.items()}
    refuse_shared_speakers(manifest, data)
    sets: list[FeatureSet] = []
    left_out: list[Fault] = []
    train, dev = training_part(manifest, data), manifest.split(data.dev)
    for store in stores.values():
        refuse_stale(store, located(manifest, (*train, *dev)))
    for utterances in (train, dev):
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
    text_source = ", ".join(sorted({u.text_source or "none" for u in train})) if uses_text else None
    tables = [joined.table for joined in sets]
    parts = {
        "labels": json.dumps([manifest.labels.names, manifest.labels.letters], ensure_ascii=False),
        "ranges": json.dumps([[name, *manifest.ranges[name]] for name in experiment.head.attributes]),
        "train": table_digest(tables[0]),
        "dev": table_digest(tables[1]),
        "left out": sha256_json([fault.place for fault in left_out]),
        "text source": text_source or "not read",
    }
    ids = [id for table in tables for id in table.ids]
    parts |= {f"features.{name}": store.fingerprint_of(ids) for name, store in stores.items()}
    if experiment.standardise_by:
        speakers = speakers_of(manifest, experiment.standardise_by)
        sets = _by_speaker(sets, speakers, experiment.standardise)
        parts["speakers"] = speakers.digest(ids)
        beside = speakers.beside(ids)
        parts |= {f"speakers.{name}": stores[name].fingerprint_of(beside) for name in experiment.standardise}
    return Inputs(
        manifest=manifest,
        stores=stores,
        train=sets[0],
        dev=sets[1],
        left_out=left_out,
        text_source=text_source,
        parts=parts,
    )


def _by_speaker(sets: Sequence[FeatureSet], speakers: Speakers, names: Sequence[str]) -> list[FeatureSet]:
    """The same utterances with features that are standardised by speaker. sets: the training part first."""
    train, sources = sets[0].table.ids, dict(sets[0].sources)
    for name in names:
        raw = sets[0].sources[name]
        sources[name] = BySpeaker(raw, speakers, partial(lambda raw: moments(raw[id] for id in train), raw))
    return [replace(each, sources=sources) for each in sets]


def table_digest(table: LabelTable) -> str:
    """A digest of the ids, targets, attributes and speakers of a table, in its order."""
    digest = hashlib.sha256(json.dumps([table.ids, table.attribute_names, table.speakers]).encode())
    for values in (table.targets, table.consensus, table.attributes):
        digest.update(values.tobytes())
    return digest.hexdigest()


def located(manifest: Manifest, utterances: Iterable[Utterance]) -> list[Utterance]:
    """Some utterances of a manifest with `audio` made absolute, as encoders read them."""
    return list(manifest.with_utterances(utterances).located())


def read_valid(path: Path) -> Manifest:
    """Read a manifest and refuse one with faults, naming the first ten."""
    manifest = Manifest.read(path)
    faults = validate(manifest)
    if faults:
        more = [Fault("...", f"and {len(faults) - 10} more; `sertk data fix` drops them")] if len(faults) > 10 else []
        raise ConfigError(str(path), [*faults[:10], *more])
    return manifest


def training_part(manifest: Manifest, data: Data) -> tuple[Utterance, ...]:
    """The utterances to train on: the train split or splits."""
    return manifest.split(*([data.train] if isinstance(data.train, str) else data.train))


def refuse_shared_speakers(manifest: Manifest, data: Data) -> None:
    """Raise DataError for a speaker or recording in both the training and the dev part: scores would be too good."""
    splits = [data.train] if isinstance(data.train, str) else data.train
    for split in splits:
        shared = shared_speakers(manifest, split, data.dev)
        if shared:
            raise DataError(
                f"{data.manifest}: splits {split!r} and {data.dev!r} share {len(shared)} speakers "
                f"({', '.join(shared[:5])}): `sertk data split` makes a speaker-disjoint one"
            )
        if copies := shared_recordings(manifest, split, data.dev):
            raise DataError(
                f"{data.manifest}: splits {split!r} and {data.dev!r} share {len(copies)} recordings as copies "
                f"({', '.join(copies[:5])}): a copy belongs to the split of its source_id"
            )
