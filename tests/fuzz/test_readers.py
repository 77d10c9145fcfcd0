"""No file, however changed, makes a reader raise anything but a SertkError.

A short look at each reader by default. FUZZ_SECONDS=1800 looks that long in all, with examples of its own each time,
and FUZZ_TABLE=PATH gets what was done.
"""

from __future__ import annotations

import importlib.util
import os
import resource
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NAMES = (
    *("manifest", "label files", "configuration", "predictions", "feature store", "store repair", "checkpoint"),
    *(
        "checkpoint with sums",
        "training state",
        "pretrained folder",
        "submission",
        "recipe",
        "wav",
        "flac",
        "ogg",
        "mp3",
    ),
)
SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
MEMORY = 12 << 30
"""Address space in a long run: a file that makes a reader ask for more is found by its MemoryError."""


def beside(name: str) -> ModuleType:
    """A module of this folder."""
    spec = importlib.util.spec_from_file_location(f"fuzz_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


mutate, reading = beside("mutate"), beside("readers")


@pytest.fixture(scope="module")
def known(toy_corpus: Path, tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    model, state = reading.trained(tiny_store, tmp_path_factory.mktemp("fuzz"))
    found: dict[str, Any] = reading.readers(toy_corpus, tiny_store, model, state)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_file_is_refused_or_read_but_nothing_else(known: dict[str, Any], tmp_path: Path, name: str) -> None:
    reader = known[name]
    looked = 0

    def look(data: st.DataObject) -> None:
        nonlocal looked
        looked += 1
        file = data.draw(st.sampled_from(reader.changeable), label="file")
        content = data.draw(mutate.changed(file, reader.files[file]), label="content")
        reader.meet(tmp_path, file, content)

    checks = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
    short = settings(deadline=None, database=None, suppress_health_check=checks, derandomize=True, max_examples=40)
    if not SECONDS:
        short(given(st.data())(look))()
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    begun = time.monotonic()
    while time.monotonic() - begun < SECONDS / len(NAMES):
        settings(short, derandomize=False, max_examples=400)(given(st.data())(look))()
    if os.environ.get("FUZZ_TABLE"):
        with open(os.environ["FUZZ_TABLE"], "a", encoding="utf-8") as table:
            table.write(f"| {name} | {(time.monotonic() - begun) / 60:.1f} | {looked:,} |\n")
