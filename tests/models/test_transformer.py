from __future__ import annotations

import pytest
import torch
from torch import nn

from sertk.errors import ConfigError
from sertk.models.size import count_parameters
from sertk.models.transformer import SequenceEncoder, TransformerLayer, join_in_time, sinusoidal_positions
from sertk.tensors import Padded


def reference(layer: TransformerLayer, width: int, inner: int) -> nn.TransformerEncoderLayer:
    twin = nn.TransformerEncoderLayer(width, layer.heads, inner, layer.dropout, batch_first=True)
    twin.load_state_dict(
        {
            "self_attn.in_proj_weight": layer.in_proj.weight,
            "self_attn.in_proj_bias": layer.in_proj.bias,
            "self_attn.out_proj.weight": layer.out_proj.weight,
            "self_attn.out_proj.bias": layer.out_proj.bias,
            **{
                f"{name}.{kind}": getattr(getattr(layer, name), kind)
                for name in ("linear1", "linear2", "norm1", "norm2")
                for kind in ("weight", "bias")
            },
        }
    )
    return twin


@pytest.mark.parametrize("heads", [1, 4])
def test_layer_equals_torchs_with_and_without_padding(heads: int) -> None:
    torch.manual_seed(0)
    layer = TransformerLayer(16, heads=heads, ffn_dim=24, dropout=0.0)
    twin = reference(layer, 16, 24)
    assert count_parameters(layer) == count_parameters(twin)
    x = torch.randn(3, 5, 16)
    mask = torch.arange(5) < torch.tensor([[5], [2], [1]])
    torch.testing.assert_close(layer(x, None), twin(x), atol=1e-5, rtol=0)
    theirs = twin(x, src_key_padding_mask=~mask)
    torch.testing.assert_close(layer(x, mask)[mask], theirs[mask], atol=1e-5, rtol=0)


def test_dropout_acts_in_training_only_and_follows_the_seed() -> None:
    layer = TransformerLayer(16, heads=2, ffn_dim=24, dropout=0.5)
    x = torch.randn(2, 5, 16)
    torch.manual_seed(3)
    first = layer(x, None)
    torch.manual_seed(3)
    assert torch.equal(layer(x, None), first)
    assert not torch.equal(layer(x, None), first)
    layer.eval()
    assert torch.equal(layer(x, None), layer(x, None))


def test_attention_to_itself_as_memory_is_self_attention() -> None:
    layer = TransformerLayer(16, heads=2, ffn_dim=24, dropout=0.0)
    x = torch.randn(2, 5, 16)
    torch.testing.assert_close(layer(x, None, x), layer(x, None), atol=1e-6, rtol=0)


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"heads.*must divide the width 16, got 3"):
        TransformerLayer(16, heads=3, ffn_dim=8, dropout=0.0)


def test_sequences_join_in_time_with_their_masks() -> None:
    first, second = Padded.of([torch.ones(2, 4), torch.ones(3, 4)]), Padded.of([torch.ones(1, 4)] * 2)
    joined, mask = join_in_time([first.data, second.data], [first.mask, None])
    assert joined.shape == (2, 4, 4)
    assert mask is not None
    assert mask.tolist() == [[True, True, False, True], [True, True, True, True]]
    assert join_in_time([first.data, second.data], [None, None])[1] is None


def test_only_positions_tell_the_order_of_frames() -> None:
    x = torch.randn(1, 6, 5, generator=torch.Generator().manual_seed(0))
    turned = x.flip(1)
    for positions, tells in (("none", False), ("sinusoidal", True)):
        torch.manual_seed(0)
        encoder = SequenceEncoder(5, 16, layers=2, heads=1, ffn_dim=24, dropout=0.0, positions=positions)  # type: ignore[arg-type]
        difference = (encoder(x, None)[-1].mean(1) - encoder(turned, None)[-1].mean(1)).abs().max()
        assert (difference > 1e-3) == tells


@pytest.mark.parametrize("width", [6, 7])
def test_sinusoidal_positions_are_vaswanis(width: int) -> None:
    table = sinusoidal_positions(torch.zeros(1, 9, width))
    assert table.shape == (9, width)
    for feature in range(width):
        angle = torch.arange(9) / 10000 ** ((feature - feature % 2) / width)
        torch.testing.assert_close(table[:, feature], angle.cos() if feature % 2 else angle.sin())


@pytest.mark.parametrize("positions", ["none", "sinusoidal"])
def test_leaving_padding_out_changes_nothing(monkeypatch: pytest.MonkeyPatch, positions: str) -> None:
    torch.manual_seed(0)
    encoder = SequenceEncoder(6, 8, layers=2, heads=2, ffn_dim=16, dropout=0.0, positions=positions)  # type: ignore[arg-type]
    batch = Padded.of([torch.randn(frames, 6) for frames in (9, 2, 5)])
    found = {}
    for packed, least in ((True, 0), (False, float("inf"))):
        monkeypatch.setattr("sertk.models.transformer.WORTH_PACKING", least)
        encoder.zero_grad()
        states = encoder(batch.data, batch.mask)
        assert all(bool((state[~batch.mask] == 0).all()) == packed for state in states)  # which way was taken
        torch.stack([state[batch.mask].square().sum() for state in states]).sum().backward()
        found[packed] = [*(state[batch.mask] for state in states), *(p.grad for p in encoder.parameters())]
    for mine, other in zip(found[True], found[False], strict=True):
        torch.testing.assert_close(mine, other, atol=1e-4, rtol=1e-4)
