"""The plain way to train DeepSER: one .npy file an utterance, a DataLoader, padded batches, torch's own layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from sertk_deepser import DeepSER
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from sertk.data.labels import LabelTable
from sertk.models.classifier import Classifier
from sertk.models.transformer import SequenceEncoder

Item = tuple[Tensor, Tensor, Tensor, Tensor]
Batched = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


class Files(Dataset[Item]):
    """Reads an utterance from its two files."""

    def __init__(self, folder: Path, table: LabelTable) -> None:
        self.folder = folder
        self.ids = table.ids
        self.emotion = torch.from_numpy(table.targets).float()
        self.attributes = torch.from_numpy(table.attributes).float()

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, row: int) -> Item:
        speech, text = (
            torch.from_numpy(np.load(self.folder / name / f"{self.ids[row]}.npy")).float()
            for name in ("speech", "text")
        )
        return speech, text, self.emotion[row], self.attributes[row]


def collate(items: list[Item]) -> Batched:
    """Pad: (B, S, D), (B,), (B, T, D), (B,), (B, C), (B, A)."""
    speech, text, emotion, attributes = zip(*items, strict=True)
    speech_lengths, text_lengths = (torch.tensor([len(x) for x in each]) for each in (speech, text))
    return (
        pad_sequence(list(speech), batch_first=True),
        speech_lengths,
        pad_sequence(list(text), batch_first=True),
        text_lengths,
        torch.stack(list(emotion)),
        torch.stack(list(attributes)),
    )


class Encoder(nn.Module):
    """ENC: two linear maps and two of torch's transformer layers, with the weights of one of ours."""

    def __init__(self, ours: SequenceEncoder) -> None:
        super().__init__()
        first, second = ours.project[0], ours.project[2]
        self.project = nn.Sequential(nn.Linear(*first.weight.shape[::-1]), nn.ReLU(), nn.Linear(*second.weight.shape))
        self.project.load_state_dict(ours.project.state_dict())
        self.layers = nn.ModuleList()
        for layer in ours.layers:
            plain = nn.TransformerEncoderLayer(
                second.out_features, layer.heads, layer.linear1.out_features, layer.dropout, batch_first=True
            )
            state = {f"self_attn.{k}" if k.startswith("out_proj") else k: v for k, v in layer.state_dict().items()}
            state = {k.replace("in_proj.", "self_attn.in_proj_"): v for k, v in state.items()}
            plain.load_state_dict(state)
            self.layers.append(plain)

    def forward(self, x: Tensor, padding: Tensor) -> list[Tensor]:
        states = [self.project(x)]
        for layer in self.layers:
            states.append(layer(states[-1], src_key_padding_mask=padding))
        return states[1:]


class PlainDeepSER(nn.Module):
    """Two modalities, two layers (MEDUSA, Algorithms 1 and 2), and the heads."""

    def __init__(self, ours: Classifier) -> None:
        super().__init__()
        fusion = ours.fusion
        assert isinstance(fusion, DeepSER)
        self.speech, self.text = (Encoder(encoder) for encoder in fusion.encoders)  # type: ignore[arg-type]
        self.first, self.second = (Encoder(encoder) for encoder in fusion.fusion_encoders)  # type: ignore[arg-type]
        width = fusion.width
        self.out, self.emotion, self.attributes = (
            nn.Linear(3 * width, width),
            nn.Linear(width, 8),
            nn.Linear(width, 3),
        )
        self.out.load_state_dict(fusion.out.state_dict())
        self.emotion.load_state_dict(ours.head.emotion.state_dict())  # type: ignore[union-attr, operator]
        self.attributes.load_state_dict(ours.head.attributes.state_dict())  # type: ignore[union-attr, operator]

    def forward(self, speech: Tensor, n: Tensor, text: Tensor, m: Tensor) -> tuple[Tensor, Tensor]:
        speech_pad = torch.arange(speech.shape[1], device=n.device)[None] >= n[:, None]
        text_pad = torch.arange(text.shape[1], device=m.device)[None] >= m[:, None]
        both_pad = torch.cat([speech_pad, text_pad], dim=1)
        s, t = self.speech(speech, speech_pad), self.text(text, text_pad)
        f = self.first(torch.cat([s[0], t[0]], dim=1), both_pad)
        all_pad = torch.cat([both_pad, both_pad], dim=1)
        g = self.second(torch.cat([s[1], t[1], f[1]], dim=1), all_pad)
        pooled = [mean(x, pad) for x, pad in ((s[1], speech_pad), (t[1], text_pad), (g[1], all_pad))]
        x = F.relu(self.out(torch.cat(pooled, dim=-1)))
        return self.emotion(x), 1 + 6 * self.attributes(x).sigmoid()


def mean(x: Tensor, padding: Tensor) -> Tensor:
    keep = (~padding)[:, :, None]
    return (x * keep).sum(dim=1) / keep.sum(dim=1)


def step(model: nn.Module, optimizer: torch.optim.Optimizer, batch: Batched, device: torch.device) -> Tensor:
    """One step of the usual loop; the loss."""
    speech, n, text, m, emotion, attributes = (tensor.to(device) for tensor in batch)
    logits, values = model(speech, n, text, m)
    loss = 1.5 * F.cross_entropy(logits, emotion) + 0.4 * F.mse_loss(values, attributes)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()
