"""Map the classes of corpora, and merge corpora."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sertk.api.remarks import warn, warn_of_edited
from sertk.data.corpora.report import write_faults
from sertk.data.label_map import map_path, read_label_map, shipped_maps
from sertk.data.manifest import Manifest
from sertk.data.mapping import MapReport
from sertk.data.mapping import map_labels as map_manifest
from sertk.data.merging import MergeReport
from sertk.data.merging import merge as merge_manifests
from sertk.data.provenance import REPORT, map_provenance, merge_provenance
from sertk.outputs import making, refuse_foreign_files
from sertk.provenance import beside, is_current


@dataclass(frozen=True)
class Mapped:
    """A manifest with mapped classes, `out`. report: None where it was up to date.

    utterances: in it; before: in the manifest that it was made from.
    """

    out: Path
    utterances: int = 0
    before: int = 0
    report: MapReport | None = None

    @property
    def up_to_date(self) -> bool:
        """Whether there was nothing to do."""
        return self.report is None


def map_labels(manifest: str | Path, map: str | Path, *, out: str | Path, force: bool = False) -> Mapped:
    """Map the classes of a manifest to others; `OUT.report.jsonl` counts and lists what was left out.

    Votes of merged classes add up, and the label is decided anew by them where it was what the votes said. Votes for
    classes that are left out count as `Other`; utterances with such a label are left out.

    Parameters
    ----------
    manifest
        The manifest.
    map
        `four`, `six` or `eight`, or a file `*.toml`.
    out
        The manifest to write.
    force
        Write again what is up to date.

    Raises
    ------
    SertkError
        LabelError for a class that the map does not name; DataError for a file that is no map; OutputError.
    """
    source, place = Path(manifest), Path(out)
    own = [] if str(map) in shipped_maps() else [map_path(map)]
    refuse_foreign_files("data map", [place], sides=[REPORT], inputs=[source, *own])
    made = map_provenance(str(source), str(place), str(map))
    if not force and is_current(place, made):
        return Mapped(place)
    corpus = Manifest.read(source)
    mapped, report = map_manifest(corpus, read_label_map(map))
    with making(place, made, sides=[REPORT]) as edited:
        mapped.write(place)
        write_faults(beside(place, REPORT), {"left out": report.left_out}, report.summary())
    warn_of_edited(edited)
    if report.left_out:
        warn(f"{len(report.left_out):,} utterances left out: listed in {beside(place, REPORT)}")
    return Mapped(place, len(mapped), len(corpus), report)


@dataclass(frozen=True)
class Merged:
    """A manifest of several corpora, `out`. utterances: in it. report: None where it was up to date."""

    out: Path
    utterances: int = 0
    report: MergeReport | None = None

    @property
    def up_to_date(self) -> bool:
        """Whether there was nothing to do."""
        return self.report is None


def merge(
    manifests: Sequence[str | Path],
    *,
    out: str | Path,
    map: str | Path | None = None,
    names: Sequence[str] = (),
    scale: tuple[float, float] | None = None,
    force: bool = False,
) -> Merged:
    """Join corpora: ids and speakers begin with the name of their corpus, which `corpus` has for scores by group.

    Splits and folds stay as they are. Attributes that a corpus does not have are missing. `OUT.report.jsonl` counts
    utterances by corpus, language and class, and lists what was left out or is in two corpora.

    Parameters
    ----------
    manifests
        Two or more.
    out
        The manifest to write.
    map
        A label map, as of `map_labels`; not needed where the corpora have the same classes.
    names
        Of the corpora, where they are not those that the manifests have.
    scale
        The range to convert all attributes to; by default that of the first corpus with the attribute.
    force
        Write again what is up to date.

    Raises
    ------
    SertkError
        DataError for a name twice, for other classes without a map, and for attributes that cannot be joined;
        LabelError for a class that the map does not name; OutputError.
    """
    sources, place = [Path(one) for one in manifests], Path(out)
    name = None if map is None else str(map)
    own = [] if name is None or name in shipped_maps() else [map_path(name)]
    refuse_foreign_files("data merge", [place], sides=[REPORT], inputs=[*sources, *own])
    made = merge_provenance([str(one) for one in sources], str(place), name, names, scale)
    if not force and is_current(place, made):
        return Merged(place)
    label_map = None if name is None else read_label_map(name)
    merged, report = merge_manifests([Manifest.read(one) for one in sources], names=names, map=label_map, scale=scale)
    with making(place, made, sides=[REPORT]) as edited:
        merged.write(place)
        write_faults(beside(place, REPORT), report.faults, report.summary())
    warn_of_edited(edited)
    for kind, faults in report.faults.items():
        warn(f"{kind} {len(faults):,}: listed in {beside(place, REPORT)}")
    return Merged(place, len(merged), report)
