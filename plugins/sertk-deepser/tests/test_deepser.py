"""DeepSER against a second writing of it, plainly from Algorithms 1 and 2 of the paper."""

from __future__ import annotations

import pytest
import torch
from sertk_deepser import DeepSER
from torch import Tensor, nn

from sertk.config.build import build
from sertk.config.schema import Head, Use
from sertk.errors import ConfigError
from sertk.models.classifier import build_classifier
from sertk.models.fusions.late import Late
from sertk.models.size import count_parameters, matched_width
from sertk.models.transformer import SequenceEncoder, TransformerLayer
from sertk.registry import fusions
from sertk.tensors import Features, Padded

DIMS = {"speech": 10, "text": 6, "video": 4}
SMALL = {"width": 16, "heads": 2, "ffn_dim": 24}
ATTRIBUTES = ["arousal", "valence", "dominance"]


def features(frames: dict[str, list[int]], dtype: torch.dtype = torch.float32) -> Features:
    generator = torch.Generator().manual_seed(0)
    return {
        name: Padded.of([torch.randn(each, DIMS[name], generator=generator, dtype=dtype) for each in lengths])
        for name, lengths in frames.items()
    }


class PlainEncoder(nn.Module):
    """Algorithm 1: ENC, with torch's own layers and the weights of one of ours."""

    def __init__(self, ours: SequenceEncoder) -> None:
        super().__init__()
        self.first, self.second = ours.project[0], ours.project[2]
        self.layers = nn.ModuleList(plain_layer(layer) for layer in ours.layers)

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        h = self.second(torch.relu(self.first(x)))
        states = []
        for layer in self.layers:
            h = layer(h)
            states.append(h)
        return states, h.mean(dim=1)


def plain_layer(ours: TransformerLayer) -> nn.TransformerEncoderLayer:
    width, ffn_dim = ours.linear1.in_features, ours.linear1.out_features
    plain = nn.TransformerEncoderLayer(width, ours.heads, ffn_dim, 0.0, batch_first=True)
    plain.self_attn.in_proj_weight, plain.self_attn.in_proj_bias = ours.in_proj.weight, ours.in_proj.bias
    plain.self_attn.out_proj.weight, plain.self_attn.out_proj.bias = ours.out_proj.weight, ours.out_proj.bias
    plain.linear1, plain.linear2, plain.norm1, plain.norm2 = ours.linear1, ours.linear2, ours.norm1, ours.norm2
    return plain.train(ours.training)


def plain_deepser(ours: DeepSER, xs: list[Tensor]) -> Tensor:
    """Algorithm 2 for two layers; without masks."""
    encoders = [PlainEncoder(encoder) for encoder in ours.encoders]
    first, second = (PlainEncoder(encoder) for encoder in ours.fusion_encoders)
    outputs = [encoder(x) for encoder, x in zip(encoders, xs, strict=True)]
    (_, f1_2), _ = first(torch.cat([h1 for (h1, _), _ in outputs], dim=1))
    _, f2_3 = second(torch.cat([h2 for (_, h2), _ in outputs] + [f1_2], dim=1))
    return ours.out(torch.cat([h3 for _, h3 in outputs] + [f2_3], dim=-1))


@pytest.mark.parametrize("modalities", [1, 2, 3])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-9)])
def test_equals_a_plain_writing_with_its_gradients(modalities: int, dtype: torch.dtype, tolerance: float) -> None:
    names = list(DIMS)[:modalities]
    torch.manual_seed(1)
    ours = DeepSER({name: DIMS[name] for name in names}, dropout=0.0, **SMALL).to(dtype)
    batch = features({name: [frames] * 4 for name, frames in zip(names, (7, 3, 5), strict=False)}, dtype)
    xs = [batch[name].data.requires_grad_() for name in names]
    weights = torch.randn(4, 16, dtype=dtype, generator=torch.Generator().manual_seed(2))
    wanted = [*xs, *ours.parameters()]
    results = []
    for output in (ours(batch), plain_deepser(ours, xs)):
        results.append((output, *torch.autograd.grad((output * weights).sum(), wanted)))
    for mine, plain in zip(*results, strict=True):
        torch.testing.assert_close(mine, plain, atol=tolerance, rtol=tolerance)
    assert results[0][0].abs().max() > 0.01


def test_padded_utterances_equal_the_plain_writing_of_each_alone() -> None:
    torch.manual_seed(1)
    ours = DeepSER(DIMS, **SMALL).eval()
    batch = features({"speech": [7, 2, 5], "text": [1, 4, 3], "video": [2, 2, 2]})
    with torch.no_grad():
        together = ours(batch)
        for row in range(3):
            alone = plain_deepser(ours, [padded.sequence(row)[None] for padded in batch.values()])[0]
            torch.testing.assert_close(together[row], alone, atol=1e-5, rtol=0)


def test_without_mask_padding_takes_part_as_in_the_released_code() -> None:
    torch.manual_seed(1)
    ours = DeepSER(DIMS, mask_padding=False, **SMALL).eval()
    batch = features({"speech": [7, 2, 5], "text": [1, 4, 3], "video": [2, 2, 2]})
    masked = DeepSER(DIMS, **SMALL).eval()
    masked.load_state_dict(ours.state_dict())
    with torch.no_grad():
        output = ours(batch)
        torch.testing.assert_close(
            output, plain_deepser(ours, [padded.data for padded in batch.values()]), atol=1e-5, rtol=0
        )
        assert (output[1] - masked(batch)[1]).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("dims", "width", "millions"),
    [
        ({"wavlm": 1024, "roberta": 1024}, 1024, 78.8),
        ({"wavlm": 1024, "whisper": 1280, "roberta": 1024}, 1024, 99.0),
        ({"wavlm": 1024, "roberta": 1024}, 512, 28.6),
        ({"wavlm": 1024, "whisper": 1280, "roberta": 1024}, 512, 36.1),
    ],
)
def test_has_as_many_parameters_as_the_paper_says(dims: dict[str, int], width: int, millions: float) -> None:
    with torch.device("meta"):
        head = [nn.Linear(width, 8), nn.Linear(width, 3)]
        count = count_parameters(nn.ModuleList([DeepSER(dims, width=width), *head]))
    assert round(count / 1e6, 1) == millions


@pytest.mark.parametrize(("modalities", "width", "matched"), [(2, 1024, 1576), (2, 512, 824), (3, 512, 728)])
def test_late_fusion_of_the_width_in_the_readme_is_as_large(modalities: int, width: int, matched: int) -> None:
    dims = dict(list({"wavlm": 1024, "roberta": 1024, "whisper": 1280}.items())[:modalities])
    with torch.device("meta"):
        wanted = count_parameters(DeepSER(dims, width=width))
        assert count_parameters(Late(dims, width=matched)) == pytest.approx(wanted, rel=0.01)
    assert matched_width(lambda width: Late(dims, width=width), wanted) == matched


def test_a_classifier_built_by_name_gives_logits_and_attributes() -> None:
    head = Head(attributes=ATTRIBUTES)
    model = build_classifier(
        Use(use="deepser", width=64), head, dims=DIMS, classes=8, ranges=[(1.0, 7.0)] * 3, seed=0
    )
    assert isinstance(model.fusion, DeepSER)
    output = model(features({name: [3, 2] for name in DIMS}))
    assert output.emotion.shape == (2, 8)
    assert ((output.attributes > 1) & (output.attributes < 7)).all()


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_every_weight_is_used_for_any_number_of_layers(layers: int) -> None:
    model = DeepSER(DIMS, layers=layers, **SMALL)
    assert len(model.fusion_encoders) == layers
    model(features({"speech": [5, 2], "text": [3, 3], "video": [1, 4]})).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        if not name.endswith("in_proj.bias"):  # the bias of keys cancels in the softmax
            assert parameter.grad.abs().max() > 0, name


def test_three_layers_follow_the_same_rule() -> None:
    model = DeepSER(DIMS, layers=3, dropout=0.0, **SMALL)
    batch = features({name: [4, 4] for name in DIMS})
    outputs = [PlainEncoder(encoder)(batch[name].data) for name, encoder in zip(DIMS, model.encoders, strict=True)]
    first, second, third = (PlainEncoder(encoder) for encoder in model.fusion_encoders)
    f1, _ = first(torch.cat([h[0] for h, _ in outputs], dim=1))
    f2, _ = second(torch.cat([*(h[1] for h, _ in outputs), f1[1]], dim=1))
    _, pooled = third(torch.cat([*(h[2] for h, _ in outputs), f2[2]], dim=1))
    expected = model.out(torch.cat([*(pool for _, pool in outputs), pooled], dim=-1))
    torch.testing.assert_close(model(batch), expected, atol=1e-5, rtol=0)


def test_only_positions_tell_the_order_of_frames() -> None:
    batch = features({name: [6] for name in DIMS})
    turned = {name: Padded(padded.data.flip(1), padded.lengths) for name, padded in batch.items()}
    for positions, tells in (("none", False), ("sinusoidal", True)):
        model = DeepSER(DIMS, positions=positions, **SMALL).eval()  # type: ignore[arg-type]
        assert ((model(batch) - model(turned)).abs().max() > 1e-3) == tells


def test_positions_do_not_depend_on_the_batch() -> None:
    model = DeepSER(DIMS, positions="sinusoidal", **SMALL).eval()
    batch = features({"speech": [7, 2], "text": [1, 4], "video": [2, 3]})
    alone = {name: Padded.of([padded.sequence(1)]) for name, padded in batch.items()}
    torch.testing.assert_close(model(alone)[0], model(batch)[1], atol=1e-5, rtol=0)


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"fn_dim.*Did you mean 'ffn_dim'"):
        build(fusions, Use(use="deepser", fn_dim=8), DIMS)
    with pytest.raises(ConfigError, match="must divide the width 16, got 3"):
        build(fusions, Use(use="deepser", width=16, heads=3), DIMS)


def test_attentive_statistics_do_not_see_padding() -> None:
    fusion = DeepSER({"speech": 4, "text": 3}, width=8, ffn_dim=16, pooling="attentive_statistics").eval()
    generator = torch.Generator().manual_seed(0)
    speech = [torch.randn(frames, 4, generator=generator) for frames in (5, 2)]
    text = [torch.randn(frames, 3, generator=generator) for frames in (1, 3)]
    together = fusion({"speech": Padded.of(speech), "text": Padded.of(text)})
    for row in range(2):
        alone = fusion({"speech": Padded.of([speech[row]]), "text": Padded.of([text[row]])})
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=1e-4)
