"""What a manifest with words is made from: the planner of `transcribe`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sertk.config.build import build
from sertk.config.options import options_model, read_options
from sertk.config.schema import Use
from sertk.data.manifest import Manifest, Utterance
from sertk.data.recording import Recording
from sertk.errors import DataError
from sertk.features.sources import source_digests
from sertk.files import sha256_json
from sertk.provenance import Provenance, from_here, options_as_parts
from sertk.registry import transcribers
from sertk.revisions import component_parts

if TYPE_CHECKING:
    from sertk.contracts import Transcriber

VERB, REVISION = "transcribe", 1


def transcriber_parts(transcriber: Transcriber, use: Use | None = None) -> dict[str, str]:
    """What decides the words of a transcriber, as parts of a key. use: the name and options it was built with.

    A transcriber may have a `fingerprint`, which changes with its weights, and names in `unkeyed` the options that
    decide nothing, such as where the weights are.
    """
    fingerprint = str(getattr(transcriber, "fingerprint", ""))
    parts = {"transcriber source": transcriber.source, "transcriber fingerprint": fingerprint}
    if use is not None:
        factory = transcribers.get(use.use)
        given = read_options(options_model(factory), use.options).model_dump(mode="json", exclude_defaults=True)
        keyed = {k: v for k, v in given.items() if k not in getattr(transcriber, "unkeyed", ())}
        parts |= options_as_parts("options", keyed) if keyed else {}
        parts |= component_parts([("transcriber", use.use)])
    return parts


def transcribe_provenance(
    manifest: str, out: str, transcriber: Mapping[str, Any], split: Sequence[str]
) -> Provenance:
    """Plan `sertk transcribe`. transcriber: its name, as `use`, and its options."""
    use = Use.model_validate(dict(transcriber))
    corpus, built = Manifest.read(Path(manifest)), build(transcribers, use)
    return plan(corpus, built, Path(out), transcriber_parts(built, use), split, manifest=Path(manifest), use=use)


def plan(
    corpus: Manifest,
    transcriber: Transcriber,
    out: Path,
    parts: Mapping[str, str],
    split: Sequence[str] = (),
    *,
    manifest: Path | None = None,
    use: Use | None = None,
) -> Provenance:
    """What a manifest with words is made from. parts: of the transcriber. manifest, use: what `sertk why` needs."""
    contents = contents_of(transcriber, corpus, chosen_of(corpus, split))
    all_parts = {
        "revision": str(REVISION),
        "manifest": corpus.fingerprint,
        "recordings are in": corpus.audio_folder(out),
        "splits": ", ".join(sorted(split)),
        "contents": sha256_json(sorted(contents.items())),
        **parts,
    }
    if manifest is None or use is None:
        return Provenance(VERB, all_parts)
    call = {"manifest": from_here(manifest), "out": from_here(out), "split": [*split]}
    return Provenance(VERB, all_parts, call | {"transcriber": use.model_dump(mode="json")}, (from_here(manifest),))


def chosen_of(manifest: Manifest, splits: Sequence[str]) -> tuple[Utterance, ...]:
    """The utterances of some splits, or all. Raises DataError for an id that stands twice."""
    chosen = manifest.split(*splits) if splits else manifest.utterances
    if len({utterance.id for utterance in chosen}) != len(chosen):
        raise DataError(f"{manifest.corpus}: ids occur twice: `sertk data fix` drops the second")
    return chosen


def contents_of(transcriber: Transcriber, manifest: Manifest, chosen: Sequence[Utterance]) -> dict[str, str]:
    """The digest of what each utterance is transcribed from, by id."""
    recordings = [Recording(u) for u in manifest.with_utterances(chosen).located()]
    return source_digests(getattr(transcriber, "reads", ("audio",)), recordings)
