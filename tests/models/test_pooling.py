from __future__ import annotations

import pytest
import torch

from sertk.errors import ConfigError
from sertk.models.pooling import AttentiveStatistics, Inputs, WeightedLayers, content_masks, masked_mean, mean_frames
from sertk.tensors import Padded


def padded(lengths: list[int], dim: int = 3) -> Padded:
    generator = torch.Generator().manual_seed(0)
    return Padded.of([torch.randn(frames, dim, generator=generator) for frames in lengths])


def test_masked_mean_is_the_mean_of_each_sequence() -> None:
    batch = padded([5, 1, 3])
    expected = torch.stack([batch.sequence(row).mean(0) for row in range(3)])
    torch.testing.assert_close(masked_mean(batch), expected)
    torch.testing.assert_close(mean_frames(batch.data, batch.mask), expected)


def test_masked_mean_of_single_frames_is_the_frame() -> None:
    batch = padded([1, 1])
    assert torch.equal(masked_mean(batch), batch.data[:, 0])


def test_masks_are_made_only_where_there_is_padding() -> None:
    masks = content_masks({"ragged": padded([2, 3]), "full": padded([4, 4])})
    assert masks["full"] is None
    assert masks["ragged"] is not None
    assert masks["ragged"].tolist() == [[True, True, False], [True, True, True]]


def test_attentive_statistics_are_weighted_moments_of_the_content() -> None:
    batch = padded([5, 2])
    pool = AttentiveStatistics(3, attention_width=4)
    for row in range(2):
        x = batch.sequence(row)
        weights = pool.score(torch.tanh(pool.hidden(x))).softmax(0)
        mean = (weights * x).sum(0)
        std = ((weights * x**2).sum(0) - mean**2).sqrt()
        torch.testing.assert_close(pool(batch)[row], torch.cat([mean, std]), atol=1e-5, rtol=1e-4)


def test_attentive_statistics_of_one_frame_have_a_finite_gradient() -> None:
    batch = padded([1, 4])
    batch.data.requires_grad_()
    AttentiveStatistics(3)(batch).sum().backward()
    assert batch.data.grad is not None
    assert torch.isfinite(batch.data.grad).all()


def test_weighted_layers_sum_layers_under_softmax_weights() -> None:
    mix = WeightedLayers(3)
    mix.scores.data = torch.tensor([0.5, -1.0, 2.0])
    layers = torch.randn(3, 2, 4, 5, generator=torch.Generator().manual_seed(0))  # (L, B, T, D)
    stored = torch.cat(list(layers), dim=-1)  # (B, T, L D)
    expected = sum(weight * layer for weight, layer in zip(mix.scores.softmax(0), layers, strict=True))
    torch.testing.assert_close(mix(stored), expected)


def test_layers_that_do_not_divide_the_features_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"input_layers.*must divide.*'text': 7"):
        Inputs({"speech": 6, "text": 7}, 3)


def test_layers_can_be_mixed_by_name_and_others_are_read_as_they_are() -> None:
    inputs = Inputs({"speech": 6, "text": 4}, {"speech": 2})
    assert inputs.dims == {"speech": 3, "text": 4}
    speech, text = padded([3, 2], 6), padded([1, 2], 4)
    mixed = inputs({"speech": speech, "text": text})
    torch.testing.assert_close(mixed["speech"].data, (speech.data[..., :3] + speech.data[..., 3:]) / 2)
    torch.testing.assert_close(mixed["text"].data, text.data)


def test_layers_of_a_modality_that_is_not_read_are_refused() -> None:
    with pytest.raises(ConfigError, match="names whisper; the modalities are speech"):
        Inputs({"speech": 6}, {"whisper": 2})
