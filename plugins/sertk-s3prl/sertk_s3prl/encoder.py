"""The encoder: an upstream by its name, one utterance at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from sertk.data.recording import Recording
from sertk.encoders.hf_layers import Layers, states
from sertk.errors import EncoderError, did_you_mean
from sertk.files import sha256_json
from sertk.hub import before_weights, check_folder
from sertk.pretrained import files_read
from sertk.revisions import revision
from sertk.tensors import Padded
from sertk_s3prl.remedy import s3prl_at_work

if TYPE_CHECKING:
    from sertk.contracts import Batching, Modality

REVISION = 1
"""Raised whenever the frames for the same recording change."""

SAMPLE_RATE = 16_000

TRANSFORMERS_FOLDERS = {"hf_wav2vec2_custom": "wav2vec2", "hf_hubert_custom": "hubert"}
"""Upstreams that read a folder of transformers, and the one architecture that each reads rightly."""


@revision(REVISION)
def s3prl(
    *, upstream: str, checkpoint: str | None = None, layers: Layers = "last", challenge_legal: bool = True
) -> Upstream:
    """Any upstream of s3prl by its name: fbank, mfcc, hubert, wavlm_large, hf_wav2vec2_custom, ...

    Gives the frames that s3prl gives, (T, D): ceil(samples / stride) of them, the last repeated where the model has
    one fewer.

    Parameters
    ----------
    upstream
        Its name in s3prl.
    checkpoint
        File or folder, for names that end in `_local`, `_custom` or `_url`.
    layers
        `last`, `last4_sum`, `all` (side by side) or an index; 0 is the first of s3prl's hidden states.
    challenge_legal
        Set it to false for a checkpoint that was trained on emotion labels.

    Raises
    ------
    EncoderError
        For a name that s3prl does not know, a checkpoint that is not available, one that needs pickled code, and one
        of another architecture.

    References
    ----------
    Yang et al. 2021, "SUPERB: Speech processing universal performance benchmark".
    """
    if checkpoint is None and upstream.endswith(("_local", "_custom", "_url")):
        raise EncoderError(f"the upstream {upstream!r} needs a `checkpoint`: a file or folder")
    if checkpoint is not None:
        _check(upstream, checkpoint)
    with s3prl_at_work():
        try:
            from s3prl.nn import S3PRLUpstream
        except ImportError as error:
            raise EncoderError(f"s3prl cannot be imported ({error}): pip install sertk-s3prl") from error
        names = S3PRLUpstream.available_names()
        if upstream not in names:
            raise EncoderError(
                f"s3prl has no upstream {upstream!r}. {did_you_mean(upstream, names)}It has {len(names)}, among them "
                f"fbank, mfcc, hubert, wavlm_large; python -c 'import s3prl.hub' and its documentation list them"
            )
        before_weights()
        try:
            loaded = S3PRLUpstream(upstream, path_or_url=checkpoint)
        except Exception as error:  # whatever one of two hundred loaders raises
            reason = (str(error).strip().splitlines() or [""])[0]
            raise EncoderError(
                f"the upstream {upstream!r} cannot be loaded: {type(error).__name__}: {reason}. Where it was "
                f"to be downloaded: connect once, or copy its checkpoint and name it with a `_local` or `_custom` "
                f"upstream; if it holds more than tensors, convert it with s3prl's own converters first"
            ) from error
    settings = {} if checkpoint is None else files_read(Path(checkpoint))
    return Upstream(loaded, upstream, layers, settings, challenge_legal=challenge_legal)


class Upstream(nn.Module):
    """A frozen upstream as an `Encoder`. Fed one by one: padding changes the frames of every upstream of s3prl."""

    unkeyed = ("checkpoint", "challenge_legal")

    def __init__(
        self, model: Any, name: str, layers: Layers, settings: Mapping[str, str], *, challenge_legal: bool
    ) -> None:
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self.layers: Layers = layers
        self.chosen = states(layers, model.num_layers - 1)
        strides = {model.downsample_rates[index] for index in self.chosen}
        widths = [model.hidden_sizes[index] for index in self.chosen]
        if len(strides) > 1 or (layers == "last4_sum" and len(set(widths)) > 1):
            raise EncoderError(f"the layers of {name!r} have different rates or widths: choose one by its index")
        self.modality: Modality = "speech"
        self.dim: int = sum(widths) if layers == "all" else widths[0]
        self.frames_per_second = SAMPLE_RATE / strides.pop()
        self.fingerprint = sha256_json(
            ["s3prl", REVISION, name, metadata.version("s3prl"), layers, _digest(model), dict(settings)]
        )
        self.batching: Batching = "single"
        self.challenge_legal = challenge_legal

    def prepare(self, recording: Recording) -> Tensor:
        """(samples,) float32 at 16 kHz; upstreams normalise by themselves. Raises AudioError."""
        return torch.tensor(recording.waveform(SAMPLE_RATE))

    @torch.no_grad()
    def forward(self, inputs: Padded) -> Padded:
        """(B, samples) to (B, T, dim) float32."""
        return Padded.of([self._one(inputs.sequence(row)) for row in range(len(inputs))]).to(inputs.data.device)

    def _one(self, waveform: Tensor) -> Tensor:
        """(samples,) to (T, dim)."""
        found, lengths = self.model(waveform[None], torch.tensor([len(waveform)]))
        frames = [found[index][0, : int(lengths[index])].float() for index in self.chosen]  # each (T, D)
        return torch.stack(frames).sum(0) if self.layers == "last4_sum" else torch.cat(frames, dim=-1)


def _check(upstream: str, checkpoint: str) -> None:
    """Refuse a checkpoint that is not there, is pickled, or that s3prl would read silently wrong."""
    path = Path(checkpoint)
    if not path.exists():
        raise EncoderError(
            f"{checkpoint}: there is no such checkpoint: give a file or folder that is on this machine"
        )
    wanted = TRANSFORMERS_FOLDERS.get(upstream)
    if wanted is None:
        return
    found = check_folder(path, path.name).architecture
    if found != wanted:
        raise EncoderError(
            f"{checkpoint}: holds a {found!r}, which the upstream {upstream!r} would read as a {wanted!r}, with "
            f"weights drawn at random where they do not fit. Use the encoder hf_speech"
        )
    if not (path / "preprocessor_config.json").is_file():
        raise EncoderError(f"{checkpoint}: there is no preprocessor_config.json, which {upstream!r} needs")


def _digest(model: nn.Module) -> str:
    """SHA-256 over the names, types and bytes of all weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
