"""A fixture for pytest, found through its own entry point by every package that has sertk-toy installed."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def toy_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small made-up corpus in the layout of MSP-Podcast: 96 labelled utterances with audio. Do not change it."""
    from sertk_toy.corpus import write_toy_corpus

    folder = tmp_path_factory.mktemp("sertk") / "toy"
    write_toy_corpus(folder, utterances=96)
    return folder
