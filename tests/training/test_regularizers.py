from __future__ import annotations

from typing import Any

import pytest
import torch

from sertk import registry
from sertk.config.build import build
from sertk.config.schema import Use
from sertk.errors import ConfigError, TrainingError
from sertk.tensors import Features, Padded, Targets
from sertk.training.regularizers import AnnotationDropout, ModalityDropout, SpecAugment


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def a_batch(size: int = 400) -> tuple[Features, Targets]:
    generator = seeded(4)
    lengths = torch.randint(1, 41, (size,), generator=generator)
    speech = Padded(torch.ones(size, 40, 20), lengths)
    speech = Padded(speech.data * speech.mask[..., None], lengths)
    text = Padded(torch.ones(size, 3, 10), torch.full((size,), 3))
    emotion = torch.rand(size, 4, generator=generator).softmax(-1)
    return {"speech": speech, "text": text}, Targets(emotion, torch.ones(size, 2))


def test_each_modality_is_dropped_with_the_probability_but_never_all() -> None:
    features, targets = a_batch()
    dropped, same = ModalityDropout(probability=0.3).on_batch(features, targets, seeded())
    assert same is targets
    gone = torch.stack([~padded.data.flatten(1).any(1) for padded in dropped.values()])  # (2, B)
    assert not gone.all(0).any()
    assert gone.float().mean().item() == pytest.approx(0.3 - 0.3**2 / 2, abs=0.04)
    for name, padded in dropped.items():
        kept = padded.data.flatten(1).any(1)
        assert torch.equal(padded.data[kept], features[name].data[kept])
        assert (padded.lengths[~kept] == 1).all()  # as an empty transcript: one zero frame
    one, _ = ModalityDropout(probability=1.0).on_batch({"speech": features["speech"]}, targets, seeded())
    assert torch.equal(one["speech"].data, features["speech"].data)


def test_masks_hide_runs_of_frames_and_features_within_their_share() -> None:
    features, targets = a_batch()
    regularizer = SpecAugment(time_masks=1, time_share=0.5, feature_masks=1, feature_share=0.25)
    masked, _ = regularizer.on_batch(features, targets, seeded())
    speech, widest = masked["speech"], 0
    for row in range(len(speech)):
        content = speech.sequence(row)
        frames, dims = (content.amax(1) == 0), (content.amax(0) == 0)
        if not dims.all():
            assert int(frames.sum()) <= 0.5 * len(content)
            assert int((frames[1:] != frames[:-1]).sum()) <= 2  # one run
        if not frames.all():
            assert int(dims.sum()) <= 0.25 * 20
        widest = max(widest, int(frames.sum()))
    assert widest > 10
    hidden = 1 - speech.data.sum() / features["speech"].data.sum()
    assert 0.15 < float(hidden) < 0.45
    assert torch.equal(speech.lengths, features["speech"].lengths)


def test_masks_act_on_the_modalities_named() -> None:
    features, targets = a_batch()
    only = SpecAugment(feature_share=0.5, modalities=["text"])
    masked, _ = only.on_batch(features, targets, seeded())
    assert masked["speech"] is features["speech"]
    assert not torch.equal(masked["text"].data, features["text"].data)
    with pytest.raises(TrainingError, match=r"no modality txt\. Known: speech, text"):
        SpecAugment(modalities=["txt"]).on_batch(features, targets, seeded())


def test_a_sample_of_votes_has_the_target_as_its_mean() -> None:
    emotion = torch.tensor([[0.6, 0.4, 0.0, 0.0]]).expand(4000, 4)
    _, changed = AnnotationDropout(probability=1.0, raters=5).on_batch(
        {}, Targets(emotion, torch.ones(4000, 0)), seeded()
    )
    torch.testing.assert_close(changed.emotion.sum(-1), torch.ones(4000))
    torch.testing.assert_close(changed.emotion.mean(0), emotion[0], rtol=0, atol=0.01)
    assert changed.emotion[:, 0].var().item() == pytest.approx(0.6 * 0.4 / 5, rel=0.1)
    torch.testing.assert_close(changed.emotion * 5, (changed.emotion * 5).round())


def test_unanimous_targets_and_those_not_chosen_stay() -> None:
    features, targets = a_batch()
    hot = torch.eye(4)[torch.arange(400) % 4]
    _, same = AnnotationDropout(probability=1.0).on_batch(features, Targets(hot, targets.attributes), seeded())
    torch.testing.assert_close(same.emotion, hot)
    _, half = AnnotationDropout(probability=0.5).on_batch(features, targets, seeded())
    stayed = (half.emotion == targets.emotion).all(-1).float().mean().item()
    assert stayed == pytest.approx(0.5, abs=0.08)
    assert half.attributes is targets.attributes


@pytest.mark.parametrize("use", ["modality_dropout", "spec_augment", "annotation_dropout"])
def test_regularizers_repeat_by_generator_and_change_nothing_in_place(use: str) -> None:
    regularizer = build(registry.regularizers, Use(use=use))
    features, targets = a_batch(50)
    kept = [p.data.clone() for p in features.values()], targets.emotion.clone()

    def values(seed: int) -> list[torch.Tensor]:
        changed, aims = regularizer.on_batch(features, targets, seeded(seed))
        return [*(p.data for p in changed.values()), aims.emotion]

    first, again, other = values(1), values(1), values(2)
    assert all(torch.equal(*pair) for pair in zip(first, again, strict=True))
    assert not all(torch.equal(*pair) for pair in zip(first, other, strict=True))
    assert all(torch.equal(p.data, k) for p, k in zip(features.values(), kept[0], strict=True))
    assert torch.equal(targets.emotion, kept[1])


@pytest.mark.parametrize(
    ("use", "option"),
    [
        ("modality_dropout", {"probability": 1.5}),
        ("spec_augment", {"time_share": -0.1}),
        ("annotation_dropout", {"raters": 0}),
    ],
)
def test_options_outside_their_range_are_refused(use: str, option: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(option))):
        build(registry.regularizers, Use(use=use, **option))
