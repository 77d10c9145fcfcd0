"""What holds for all tests, of core and of the plugins: no network, one thread, and a cache of their own."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

PLUGINS = {
    "corpus": "msp_podcast",
    "fusion": "deepser",
    "sampler": "balanced",
    "regularizer": "manifold_mixup",
    "aggregator": "soup",
}


def pytest_configure(config: pytest.Config) -> None:
    """Keep digests of test files out of the user's cache."""
    if "SERTK_CACHE" not in os.environ:
        folder = tempfile.TemporaryDirectory(prefix="sertk-cache-")
        os.environ["SERTK_CACHE"] = folder.name
        config.add_cleanup(folder.cleanup)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked `plugins` where the plugins of this repository are hidden or not installed."""
    from sertk.registry import REGISTRIES

    hidden = [name for kind, name in PLUGINS.items() if name not in REGISTRIES[kind]]
    for item in items:
        if hidden and item.get_closest_marker("plugins"):
            item.add_marker(pytest.mark.skip(reason=f"needs the plugins that register {', '.join(hidden)}"))


@pytest.fixture(scope="session")
def toy_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small made-up corpus in the layout of MSP-Podcast: 96 labelled utterances with audio. Do not change it."""
    from sertk_toy.corpus import write_toy_corpus

    folder = tmp_path_factory.mktemp("sertk") / "toy"
    write_toy_corpus(folder, utterances=96)
    return folder
