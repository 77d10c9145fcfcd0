"""What `sertk extract` does: encoders, or trained models, fill feature stores. No torch in this module."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sertk.errors import OutputError
from sertk.features.card import Precision
from sertk.features.making import refuse_foreign_store
from sertk.outputs import refuse_collisions
from sertk.provenance import read_record


@dataclass(frozen=True)
class Extraction:
    """What is asked for, for whichever process does a part of it.

    encoders: files (TOML), or folders of trained models. into: the folder of the stores. splits: empty for all.
    The others are those of `sertk.features.extract`.
    """

    encoders: tuple[Path, ...]
    manifest: Path
    into: Path
    splits: tuple[str, ...] = ()
    device: str = "auto"
    precision: Precision = "float32"
    frame_budget: float = 120.0
    max_batch: int = 64
    force: bool = False
    retry: bool = False
    repair: bool = False

    @property
    def stores(self) -> list[Path]:
        """The store of each encoder."""
        return [self.into / _name(path) for path in self.encoders]


def refuse_outputs(work: Extraction) -> None:
    """Raise before any work what stands in the way: two stores in one place, folders that are no stores.

    OutputError for those, StoreError for a store of the old format.
    """
    record = read_record(work.into) if work.into.is_dir() else None
    if record is not None:
        raise OutputError(
            f"{work.into} is a result of `sertk {record.made.verb}`, and stores in it would be parts of it: nothing "
            f"was done. Choose another folder."
        )
    refuse_collisions(work.stores, [work.manifest, *work.encoders])
    for store in work.stores:
        refuse_foreign_store(store)


def _name(path: Path) -> str:
    """The name of an encoder's store: of its file without the ending, or of the model's folder."""
    name = path.name if path.name not in ("", "..") else path.resolve().name
    return name.removesuffix(".toml")
