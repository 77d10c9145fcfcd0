"""Put the test parts of several folds together, manifest and predictions: every utterance once, by a model that never
heard its speaker."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from sertk.data.manifest import Manifest
from sertk.ensemble.predictions import Predictions
from sertk.errors import DataError
from sertk.files import atomic_folder, sha256_file, sha256_json
from sertk.outputs import refuse_foreign
from sertk.provenance import Provenance, is_current, write_record
from sertk.scoring.provenance import BY_SPEAKER, system_names


def main() -> None:
    """Read the arguments, write a manifest of the test parts and a file a system."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folds", nargs="+")
    parser.add_argument("--exp", type=Path, required=True, help="the experiment folder, which has fold1, fold2, ...")
    parser.add_argument("--into", required=True, help="the folder in it that gets the files")
    asked = parser.parse_args()
    into, folders = asked.exp / asked.into, [asked.exp / f"fold{fold}" for fold in asked.folds]
    refuse_foreign(into, "pool")
    parts = [folder / "predictions" / "test" for folder in folders]
    systems = [
        path.name for path in sorted(parts[0].glob("*.csv")) if all((part / path.name).is_file() for part in parts)
    ]
    manifests = [folder / "data" / "manifest.jsonl.gz" for folder in folders]
    read = [*manifests, *(part / name for part in parts for name in systems)]
    for name in systems:
        if BY_SPEAKER in system_names([str(parts[0] / name)])[0] and "by_speaker" not in name:
            raise DataError(f"{name}: standardised by speaker, so its name must say by_speaker in the pooled table")
    made = Provenance(
        "pool",
        {
            "script": sha256_file(Path(__file__)),
            "folds": " ".join(asked.folds),
            "systems": " ".join(systems),
            "files": sha256_json([*map(sha256_file, read)]),
        },
    )
    if is_current(into, made):
        print(f"up to date  {into}")
        return
    manifest = pooled_manifest([*map(Manifest.read, manifests)], asked.folds)
    with atomic_folder(into) as temporary:  # whole, so that no system of an earlier call stays in it
        manifest.write(temporary / "manifest.jsonl.gz")
        for name in systems:
            pooled([Predictions.read(part / name) for part in parts]).write(temporary / name)
        digests = {path.name: sha256_file(path) for path in temporary.iterdir()}
        write_record(temporary, made, files=digests, place=into)
    print(f"{into}  {len(manifest)} utterances, {len(systems)} systems, {manifest.note}")


def pooled_manifest(manifests: list[Manifest], folds: list[str]) -> Manifest:
    """The test parts alone. Raises DataError where an utterance is in two of them."""
    utterances = tuple(u for one in manifests for u in one.with_utterances(one.split("test")).located())
    twice = len(utterances) - len({utterance.id for utterance in utterances})
    if twice:
        raise DataError(f"{twice} utterances are in the test parts of two folds: the folds are not of one division")
    first, *others = [manifest.note.split("; ") for manifest in manifests]
    common = [part for part in first if all(part in other for other in others)]
    note = "; ".join([f"test parts of folds {', '.join(folds)}", *common])
    return replace(manifests[0], utterances=utterances, note=note)


def pooled(parts: list[Predictions]) -> Predictions:
    """One after the other; all have the same classes and attributes."""
    first = parts[0]
    parts = [part.reordered(first.labels) for part in parts]
    return Predictions(
        tuple(name for part in parts for name in part.ids),
        first.labels,
        np.concatenate([part.emotion for part in parts]),
        np.concatenate([part.attributes for part in parts]),
        first.attribute_names,
    )


if __name__ == "__main__":
    main()
