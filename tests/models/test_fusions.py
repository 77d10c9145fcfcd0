"""What every registered fusion must keep, core's and strangers' alike."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

import pytest
import torch
from torch import nn

from sertk import registry
from sertk.tensors import Features, Padded


def without_required_options(name: str) -> bool:
    """Others are for one model alone, and are tested with it."""
    options = inspect.signature(registry.fusions.get(name)).parameters.values()
    return all(option.default is not option.empty for option in options if option.kind is option.KEYWORD_ONLY)


NAMES = [name for name in registry.fusions.names() if without_required_options(name)]
LENGTHS = {"speech": [9, 4, 1, 6], "text": [3, 5, 2, 5], "video": [2, 7, 7, 1]}
SMALL = {"width": 16, "ffn_dim": 24, "attention_width": 6}


def small(name: str, dims: Mapping[str, int], seed: int = 0, **options: object) -> nn.Module:
    factory = registry.fusions.get(name)
    taken = inspect.signature(factory).parameters
    torch.manual_seed(seed)
    return factory(dims, **{key: value for key, value in SMALL.items() if key in taken}, **options).eval()


def features(modalities: int = 3, dim: int = 8, seed: int = 1) -> Features:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: Padded.of([torch.rand(frames, dim, generator=generator) for frames in lengths])
        for name, lengths in list(LENGTHS.items())[:modalities]
    }


def dims_of(batch: Features) -> dict[str, int]:
    return {name: padded.data.shape[-1] for name, padded in batch.items()}


def rows(batch: Features, order: list[int]) -> Features:
    return {name: Padded.of([padded.sequence(row) for row in order]) for name, padded in batch.items()}


@pytest.mark.parametrize("modalities", [1, 2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_output_has_the_announced_width(name: str, modalities: int) -> None:
    batch = features(modalities)
    fusion = small(name, dims_of(batch))
    assert fusion(batch).shape == (4, fusion.width)


@pytest.mark.parametrize("modalities", [1, 2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_an_utterance_alone_and_in_any_batch_gives_the_same(name: str, modalities: int) -> None:
    batch = features(modalities)
    fusion = small(name, dims_of(batch))
    together = fusion(batch)
    for row in range(4):
        torch.testing.assert_close(fusion(rows(batch, [row]))[0], together[row], atol=1e-5, rtol=0)
    torch.testing.assert_close(fusion(rows(batch, [2, 1])), together[[2, 1]], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_what_stands_in_the_padding_does_not_matter(name: str) -> None:
    batch = features()
    fusion = small(name, dims_of(batch))
    dirty = {
        key: Padded(padded.data.masked_fill(~padded.mask[:, :, None], 1e3), padded.lengths)
        for key, padded in batch.items()
    }
    torch.testing.assert_close(fusion(dirty), fusion(batch), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_the_batch_does_not_matter(name: str) -> None:
    batch = features()
    fusion = small(name, dims_of(batch))
    order = [3, 0, 2, 1]
    torch.testing.assert_close(fusion(rows(batch, order)), fusion(batch)[order], atol=1e-5, rtol=0)


@pytest.mark.parametrize("modalities", [1, 2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_every_modality_and_every_weight(name: str, modalities: int) -> None:
    batch = features(modalities)
    fusion = small(name, dims_of(batch)).train()
    for padded in batch.values():
        padded.data.requires_grad_()
    output = fusion(batch)
    output.square().sum().backward()
    for padded in batch.values():
        assert padded.data.grad is not None
        assert (padded.data.grad[padded.mask] != 0).any(dim=-1).all()
        assert (padded.data.grad[~padded.mask] == 0).all()
    for key, parameter in fusion.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key


@pytest.mark.parametrize("name", NAMES)
def test_every_modality_changes_the_output(name: str) -> None:
    batch = features()
    fusion = small(name, dims_of(batch))
    for changed in batch:
        other = batch | {changed: Padded(batch[changed].data * 0.5, batch[changed].lengths)}
        other[changed].data[..., 0] += 0.3
        assert (fusion(other) - fusion(batch)).abs().max() > 1e-4, changed


@pytest.mark.parametrize("name", NAMES)
def test_the_order_in_which_features_arrive_does_not_matter(name: str) -> None:
    batch = features()
    fusion = small(name, dims_of(batch))
    turned = {key: batch[key] for key in reversed(list(batch))}
    assert torch.equal(fusion(turned), fusion(batch))


@pytest.mark.parametrize("name", NAMES)
def test_equal_seeds_give_equal_models_and_loading_restores_one(name: str) -> None:
    batch = features()
    one, same, other = (small(name, dims_of(batch), seed) for seed in (1, 1, 2))
    assert torch.equal(one(batch), same(batch))
    if list(one.parameters()):
        trainable = any(parameter.std() > 0 for parameter in one.parameters())
        assert trainable
        assert not torch.equal(one(batch), other(batch))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(batch), other(batch))


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_stays_finite_and_near(name: str) -> None:
    batch = features()
    fusion = small(name, dims_of(batch)).train()
    for padded in batch.values():
        padded.data.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        output = fusion(batch)
    assert torch.isfinite(output).all()
    output.float().sum().backward()
    gradients = [padded.data.grad for padded in batch.values()] + [p.grad for p in fusion.parameters()]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    fusion.eval()
    with torch.autocast("cpu", torch.bfloat16):
        near = fusion(batch).float()
    torch.testing.assert_close(near, fusion(batch), atol=0.1, rtol=0.1)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "posterior_mean"])
def test_modalities_of_unequal_dims_join(name: str) -> None:
    batch = features(2) | {"video": features(3, dim=5)["video"]}
    assert torch.isfinite(small(name, dims_of(batch))(batch)).all()


@pytest.mark.parametrize(
    "name", [n for n in NAMES if "input_layers" in inspect.signature(registry.fusions.get(n)).parameters]
)
def test_stored_layers_start_as_their_mean_and_are_learnt(name: str) -> None:
    batch = features()
    mixing = small(name, dims_of(batch), input_layers=2)
    plain = small(name, dict.fromkeys(batch, 4))
    plain.load_state_dict({k: v for k, v in mixing.state_dict().items() if "mixers" not in k})
    mean = {
        key: Padded((padded.data[..., :4] + padded.data[..., 4:]) / 2, padded.lengths)
        for key, padded in batch.items()
    }
    torch.testing.assert_close(mixing(batch), plain(mean), atol=1e-5, rtol=0)
    mixing(batch).square().sum().backward()
    assert all(mixer.scores.grad.abs().max() > 0 for mixer in mixing.inputs.mixers)
