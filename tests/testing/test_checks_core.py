"""Every component that needs no download keeps the contract of its kind: core's and the plugins' beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sertk import registry
from sertk.cards import EncoderSpec
from sertk.config.build import build
from sertk.config.schema import Use
from sertk.contracts import Combined
from sertk.models.classifier import build_classifier
from sertk.registry import REGISTRIES
from sertk.testing import checks
from sertk.testing.suites.base import Check
from sertk.testing.suites.made_up import RANGE
from sertk.testing.suites.made_up_members import HEAD, a_stack, as_checkpoint

NO_MEAN = "is no mean over utterances, its docstring says"
OPTIONS = {
    ("aggregator", "meta_classifier"): {"options": {"seeds": [1, 2], "lr": 0.02}},
    ("encoder", "hashed_text"): {"options": {"dim": 24}, "other": {"dim": 25}},
    ("encoder", "logmel"): {"options": {"mels": 20}, "other": {"stack": 2}},
    ("encoder", "opensmile"): {"other": {"level": "lld"}},
    ("encoder", "s3prl"): {"options": {"upstream": "fbank"}, "other": {"upstream": "mfcc"}},
    ("fusion", "cross_attention"): {"options": {"width": 16, "ffn_dim": 24}},
    ("fusion", "deepser"): {"options": {"width": 16, "ffn_dim": 24}},
    ("fusion", "gated"): {"options": {"width": 16}},
    ("fusion", "late"): {"options": {"width": 16, "ffn_dim": 24}},
    ("fusion", "posterior_mean"): {"leave_out": {"unequal_dims": "every model gives C + A numbers"}},
    ("loss", "attribute_ccc"): {"leave_out": {"batch_split": NO_MEAN}},
    ("loss", "soft_macro_f1"): {"leave_out": {"batch_split": NO_MEAN}},
    ("regularizer", "spec_augment"): {"options": {"time_share": 0.5, "feature_share": 0.3}},
}
ELSEWHERE = {"checkpoint", "hf_speech", "hf_text", "spans", "whisper", "corpus_normalised", "relabelled"}
"""Components that need a checkpoint, a file or a model to relabel; the tests at the end, of timelines and of
`sertk-adopt` give them one."""


def every_check() -> list[Check]:
    return [
        check
        for kind, registry in REGISTRIES.items()
        if kind != "corpus"  # each reader is checked beside its plugin's tests, which have a copy for it
        for name in registry.names()
        if name not in ELSEWHERE
        for check in checks(kind, name, **OPTIONS.get((kind, name), {}))
    ]


@pytest.mark.parametrize("check", every_check())
def test_contract(check: Check) -> None:
    check()


def test_a_trained_model_keeps_the_contract_of_encoders(tmp_path: Path) -> None:
    encoder = build(registry.encoders, Use.model_validate({"use": "logmel", "mels": 20}))
    spec = EncoderSpec("logmel", {"mels": 20}, encoder.fingerprint, "speech", encoder.dim, encoder.frames_per_second)
    stack = a_stack()
    fusion = Use.model_validate({"use": "late", "width": 8})
    model = build_classifier(fusion, HEAD, dims={"speech": 20}, classes=4, ranges=[RANGE] * 2, seed=1)
    made = as_checkpoint(Combined(fusion, HEAD, model.state_dict()), stack, "model")
    experiment = made.experiment.model_copy(update={"features": {"speech": "none"}})
    replace(made, card=replace(made.card, encoders={"speech": spec}), experiment=experiment).save(tmp_path / "model")
    for check in checks("encoder", "checkpoint", options={"folder": str(tmp_path / "model")}):
        check()


@pytest.mark.parametrize("name", ["wavlm", "hubert", "wav2vec2", "data2vec-audio"])
def test_speech_models_keep_the_contract_of_encoders(name: str, tmp_path: Path) -> None:
    tiny = pytest.importorskip("sertk.testing.tiny_models", reason="needs the extra hf")
    options = {"model": str(tiny.tiny_speech(tmp_path / "model", name)), "layers": "last"}
    for check in checks("encoder", "hf_speech", options=options, other={"layers": 0}):
        check()


def test_text_models_keep_the_contract_of_encoders(tmp_path: Path) -> None:
    tiny = pytest.importorskip("sertk.testing.tiny_models", reason="needs the extra hf")
    options = {"model": str(tiny.tiny_roberta(tmp_path / "model")), "layers": "last"}
    for check in checks("encoder", "hf_text", options=options, other={"layers": 0}):
        check()


def test_whisper_keeps_the_contracts_of_encoders_and_transcribers(tmp_path: Path) -> None:
    tiny = pytest.importorskip("sertk.testing.tiny_models", reason="needs the extra hf")
    model = str(tiny.tiny_whisper(tmp_path / "model"))
    for check in checks("encoder", "hf_speech", options={"model": model, "layers": "last"}, other={"layers": 0}):
        check()
    for check in checks("transcriber", "whisper", options={"model": model}):
        check()
