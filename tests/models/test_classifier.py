from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from sertk.config.schema import Head, Use
from sertk.errors import ConfigError, RegistryError
from sertk.models.classifier import Classifier, build_classifier
from sertk.models.fusions.concat import Concat
from sertk.models.fusions.late import Late
from sertk.models.size import count_parameters, matched_width
from sertk.tensors import Features, Padded

DIMS = {"speech": 6, "text": 4}
HEAD = Head(attributes=["arousal", "valence"])
RANGES = [(1.0, 7.0), (-1.0, 1.0)]


def features(scale: float = 1.0) -> Features:
    generator = torch.Generator().manual_seed(0)
    return {
        name: Padded.of([scale * torch.randn(frames, dim, generator=generator) for frames in (5, 2, 3)])
        for name, dim in DIMS.items()
    }


def build(fusion: Use, head: Head = HEAD, *, seed: int = 1, **kwargs: object) -> Classifier:
    settings = {"dims": DIMS, "classes": 8, "ranges": RANGES, **kwargs}
    return build_classifier(fusion, head, seed=seed, **settings).eval()  # type: ignore[arg-type]


def test_outputs_are_logits_and_attributes_within_their_ranges() -> None:
    model = build(Use(use="gated", width=12))
    output = model(features(scale=1e3))
    assert output.emotion.shape == (3, 8)
    assert output.attributes.shape == (3, 2)
    low, high = torch.tensor(RANGES).unbind(-1)
    assert ((output.attributes >= low) & (output.attributes <= high)).all()
    torch.testing.assert_close(model.head(model.fuse(features(1e3))).emotion, output.emotion)


def test_a_sigmoid_attribute_is_one_plus_six_sigmoid() -> None:
    model = build(Use(use="concat"), Head(attributes=["arousal"]), ranges=[(1, 7)])
    fused = model.fuse(features())
    expected = 1 + 6 * torch.sigmoid(model.head.attributes(torch.relu(fused)))
    torch.testing.assert_close(model(features()).attributes, expected)


def test_linear_attributes_and_no_activation_are_plain_linear_maps() -> None:
    model = build(Use(use="concat"), Head(attributes=["a", "b"], activation="none", attribute_output="linear"))
    fused, output = model.fuse(features()), model(features())
    torch.testing.assert_close(output.attributes, model.head.attributes(fused))
    torch.testing.assert_close(output.emotion, model.head.emotion(fused))


def test_a_head_without_attributes_gives_none() -> None:
    output = build(Use(use="concat"), Head(), ranges=[])(features())
    assert output.attributes.shape == (3, 0)
    assert output.posteriors.shape == (3, 8)


def test_an_identity_head_cuts_logits_from_attributes() -> None:
    head = Head(kind="identity", attributes=["arousal", "valence"])
    fusion = Use(use="posterior_mean", classes=4)
    model = build(fusion, head, dims={"a": 6, "b": 6}, classes=4)
    member = torch.cat([torch.rand(3, 4).softmax(-1), torch.rand(3, 2)], dim=-1)[:, None]
    one_frame = Padded(member, torch.ones(3, dtype=torch.int64))
    torch.testing.assert_close(model({"a": one_frame, "b": one_frame}).posteriors, member[:, 0])


def test_equal_seeds_give_equal_weights_and_leave_the_random_state_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, same, other = (build(Use(use="late", width=8, ffn_dim=8), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    pairs = zip(one.state_dict().items(), same.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for (_, a), b in pairs)
    assert not torch.equal(one(features()).emotion, other(features()).emotion)


def test_weights_survive_a_file(tmp_path) -> None:
    one, other = (build(Use(use="concat", standardise=True), seed=seed) for seed in (1, 2))
    one.fusion.mean.fill_(0.3)
    one.fusion.std.fill_(2.0)
    save_file(one.state_dict(), tmp_path / "model.safetensors")
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    torch.testing.assert_close(one(features()).posteriors, other(features()).posteriors, atol=0, rtol=0)


def test_standardising_concat_uses_the_buffers_it_was_given() -> None:
    plain, standard = Concat(DIMS), Concat(DIMS, standardise=True)
    assert torch.equal(plain(features()), standard(features()))
    standard.mean.copy_(torch.arange(10.0))
    standard.std.fill_(4.0)
    torch.testing.assert_close(standard(features()), (plain(features()) - torch.arange(10.0)) / 4)


@pytest.mark.parametrize(
    ("fusion", "head", "message"),
    [
        (Use(use="concat"), Head(attributes=["arousal"]), "need as many ranges"),
        (Use(use="concat"), Head(kind="identity", attributes=["a", "b"]), "fusion of width 10, got 12"),
        (Use(use="late", width=9, heads=2), HEAD, "must divide the width 9, got 2"),
        (Use(use="gated", widht=9), HEAD, "widht"),
    ],
)
def test_what_does_not_fit_is_refused(fusion: Use, head: Head, message: str) -> None:
    dims = {"speech": 6, "text": 6} if head.kind == "identity" else DIMS
    with pytest.raises(ConfigError, match=message):
        build(fusion, head, dims=dims)


def test_posteriors_read_with_another_number_of_classes_are_refused() -> None:
    head = Head(kind="identity", attributes=["a", "b"])
    with pytest.raises(ConfigError, match="set classes = 4"):
        build(Use(use="posterior_mean"), head, dims={"a": 6}, classes=4)


def test_an_unknown_fusion_is_refused() -> None:
    with pytest.raises(RegistryError, match="Did you mean 'gated'"):
        build(Use(use="gatd"))


def test_matched_width_comes_nearest_in_size() -> None:
    def size(width: int) -> int:
        return count_parameters(Late({"a": 20}, width=width, ffn_dim=32))

    wanted = size(48) + 10
    assert matched_width(lambda width: Late({"a": 20}, width=width, ffn_dim=32), wanted) == 48
    assert matched_width(lambda width: Late({"a": 20}, width=width, ffn_dim=32), size(4), multiple=1) == 4
