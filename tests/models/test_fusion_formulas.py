"""Each core fusion against its formula, written out for single utterances without padding."""

from __future__ import annotations

import torch

from sertk.models.fusions.concat import Concat
from sertk.models.fusions.cross_attention import CrossAttention
from sertk.models.fusions.gated import Gated
from sertk.models.fusions.late import Late
from sertk.models.transformer import sinusoidal_positions
from sertk.tensors import Features, Padded

DIMS = {"speech": 6, "text": 4, "video": 3}


def features() -> Features:
    generator = torch.Generator().manual_seed(0)
    lengths = {"speech": [5, 2], "text": [3, 4], "video": [1, 2]}
    return {
        name: Padded.of([torch.randn(frames, DIMS[name], generator=generator) for frames in lengths[name]])
        for name in DIMS
    }


def utterances(batch: Features) -> list[list[torch.Tensor]]:
    return [[padded.sequence(row) for padded in batch.values()] for row in range(2)]


def test_concat_puts_means_side_by_side() -> None:
    batch = features()
    expected = [torch.cat([x.mean(0) for x in xs]) for xs in utterances(batch)]
    torch.testing.assert_close(Concat(DIMS)(batch), torch.stack(expected))


def test_gated_adds_gated_contents() -> None:
    batch, fusion = features(), Gated(DIMS, width=5).eval()
    for row, xs in enumerate(utterances(batch)):
        means = [x.mean(0) for x in xs]
        gates = torch.sigmoid(fusion.gates(torch.cat(means))).chunk(3)
        expected = sum(z * torch.tanh(w(x)) for z, w, x in zip(gates, fusion.contents, means, strict=True))
        torch.testing.assert_close(fusion(batch)[row], expected)


def test_late_maps_the_means_of_last_states() -> None:
    batch, fusion = features(), Late(DIMS, width=8, ffn_dim=12).eval()
    for row, xs in enumerate(utterances(batch)):
        means = []
        for encoder, x in zip(fusion.encoders, xs, strict=True):
            state = encoder.project(x[None])
            for layer in encoder.layers:
                state = layer(state, None)
            means.append(state[0].mean(0))
        torch.testing.assert_close(fusion(batch)[row], fusion.out(torch.cat(means)), atol=1e-5, rtol=0)


def test_cross_attention_lets_each_modality_attend_to_the_others_only() -> None:
    batch, fusion = features(), CrossAttention(DIMS, width=8, ffn_dim=12, heads=2).eval()
    for row, xs in enumerate(utterances(batch)):
        frames = [project(x[None]) for project, x in zip(fusion.project, xs, strict=True)]
        frames = [each + sinusoidal_positions(each) for each in frames]
        means = []
        for index, stream in enumerate(fusion.streams):
            state, memory = frames[index], torch.cat([f for i, f in enumerate(frames) if i != index], dim=1)
            for layer in stream:
                state = layer(state, None, memory)
            means.append(state[0].mean(0))
        torch.testing.assert_close(fusion(batch)[row], fusion.out(torch.cat(means)), atol=1e-5, rtol=0)
