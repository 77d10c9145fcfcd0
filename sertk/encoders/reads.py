"""What decides the posteriors of a trained model: its weights, and what it and the members inside read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sertk.cards import model_fingerprint, not_installed, read_card, read_experiment, refuse_external
from sertk.data.manifest import Utterance
from sertk.data.speakers import OTHERS, By, read_speakers
from sertk.encoders.tree import stored_at
from sertk.errors import CheckpointError, UnknownNameError
from sertk.features.stale import refuse_stale
from sertk.features.store import FeatureStore
from sertk.files import sha256_file, sha256_json
from sertk.revisions import component_parts


@dataclass(frozen=True)
class Reads:
    """What decides the posteriors of a checkpoint beside its weights. uses: the components that are run, by kind.

    leaves: by key as in `stored_tree`, the stores and files that are read. speakers: the manifest of those that
    are standardised by speaker or corpus, and by which. modalities: of the encoders at the leaves.
    owners: the components' distributions.
    """

    fingerprint: str
    uses: tuple[tuple[str, str], ...]
    leaves: Mapping[str, Path]
    speakers: Mapping[str, tuple[Path, By]]
    modalities: frozenset[str]
    owners: tuple[str, ...]


def reads_of(folder: Path, *, stored: bool) -> Reads:
    """What a checkpoint and the members inside read. Cheap: no weights are loaded.

    stored: from what their experiments name, not from recordings by encoders.
    """
    uses: list[tuple[str, str]] = []
    owners: list[str] = []
    leaves: dict[str, Path] = {}
    speakers: dict[str, tuple[Path, By]] = {}
    modalities: set[str] = set()

    def walk(folder: Path, above: str) -> str:
        card, experiment = read_card(folder), read_experiment(folder)
        uses.append(("fusion", experiment.fusion.use))
        owners.append(card.fusion_version)
        for name, spec in card.encoders.items():
            path = stored_at(experiment, card, name) if stored else None
            if path is not None:
                leaves[f"{above}{name}"] = path
                if experiment.standardise_by and name in experiment.standardise:
                    speakers[f"{above}{name}"] = Path(experiment.data.manifest), experiment.standardise_by
            elif spec.use == "checkpoint":
                walk(folder / "members" / name, f"{above}{name}/")
            else:
                refuse_external(spec)
                uses.append(("encoder", spec.use))
                modalities.add(spec.modality)
                owners.append(spec.owner)
        return model_fingerprint(card, experiment)

    return Reads(walk(folder, ""), tuple(uses), leaves, speakers, frozenset(modalities), tuple(owners))


def reads_recordings(folder: Path) -> bool:
    """Whether a checkpoint, or a member that is read from inside, has an encoder inside, and so no feature store."""
    card, experiment = read_card(folder), read_experiment(folder)
    for name, spec in card.encoders.items():
        if spec.inside(name):
            return True
        member = spec.use == "checkpoint" and stored_at(experiment, card, name) is None
        if member and reads_recordings(folder / "members" / name):
            return True
    return False


def model_parts(name: str, folder: Path, ids: Collection[str] | None) -> dict[str, str]:
    """What decides the posteriors of a checkpoint, as parts of a key. name: how the parts begin.

    ids: the utterances that are read from stores; None for recordings, which are read by encoders. Raises
    CheckpointError for a component that is not installed.
    """
    reads = reads_of(folder, stored=ids is not None)
    parts = {name: reads.fingerprint}
    for key, path in reads.leaves.items():
        parts[f"{name}.{key}"] = (
            sha256_file(path) if path.is_file() else FeatureStore.open(path).fingerprint_of(ids or ())
        )
        if key in reads.speakers:
            manifest, by = reads.speakers[key]
            speakers = read_speakers(manifest, by)
            beside = FeatureStore.open(path).fingerprint_of(speakers.beside(ids or ()))
            parts[f"{name}.{key}.{OTHERS[by]}"] = sha256_json([speakers.digest(ids or ()), beside])
    try:
        return parts | component_parts(reads.uses)
    except UnknownNameError as error:
        raise CheckpointError(f"{folder}: {error} {not_installed(reads.owners)}".strip()) from None


def refuse_stale_leaves(folder: Path, utterances: Sequence[Utterance]) -> None:
    """Raise StoreError where a store that a checkpoint reads was computed from other content than there is now.

    utterances: as `Manifest.located` gives them.
    """
    for path in reads_of(folder, stored=True).leaves.values():
        if not path.is_file():
            refuse_stale(FeatureStore.open(path), utterances)
