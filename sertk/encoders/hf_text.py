"""Text encoders of transformers: RoBERTa, ModernBERT, BERT and whatever else reads tokens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from sertk.compat import import_transformers
from sertk.config.schema import Count
from sertk.data.recording import Recording
from sertk.encoders.hf_layers import Layers, pick, states
from sertk.errors import AudioError, EncoderError
from sertk.hub import Attention, Dtype, find_checkpoint, load_model, load_part, reading
from sertk.pretrained import Pretrained
from sertk.revisions import revision as revised
from sertk.tensors import Padded

if TYPE_CHECKING:
    from sertk.contracts import Batching, Modality

TOKENIZER_FILES = (
    "tokenizer.json",
    "vocab.json",
    "vocab.txt",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
)

REVISION = 1
"""Raised whenever the frames for the same transcript change."""

EMPTY = -1
"""Stands for an utterance without words, which becomes one frame of zeros."""


@revised(REVISION)
def hf_text(
    *,
    model: str,
    revision: str | None = None,
    layers: Layers = "last4_sum",
    max_tokens: int | None = None,
    drop_ends: Count = 0,
    dtype: Dtype = "float32",
    attention: Attention = "auto",
    challenge_legal: bool | None = None,
) -> TextEncoder:
    """RoBERTa, ModernBERT, BERT or another text encoder, by hub id or folder.

    Gives one frame per token, (T, D), without the special tokens that frame a sequence (<s>, [CLS], ...) and with
    all others, unknown ones too; an utterance without words is one frame of zeros. What was cut or empty is
    remarked on the recording.

    Parameters
    ----------
    model
        Hub id (owner/name), or a folder with config.json, tokenizer and safetensors weights.
    revision
        Branch, tag or commit of the hub's checkpoint.
    layers
        As in `hf_speech`.
    max_tokens
        Longer transcripts are cut there, special tokens counted; None takes the model's limit.
    drop_ends
        This many real tokens are dropped at each end too, and a text with none left is one frame of zeros (1 in
        MEDUSA's released code).
    dtype
        Of the weights and of computing.
    attention
        `sdpa` where the architecture has it.
    challenge_legal
        Whether the challenge allows the checkpoint; None decides by name and labels.

    Raises
    ------
    EncoderError
        For a checkpoint that is not available or does not read text, and options that do not fit it.
    """
    checkpoint = find_checkpoint(model, revision=revision)
    loaded: Any = load_model(checkpoint, _text_class(checkpoint), dtype=dtype, attention=attention)
    if loaded.config.is_encoder_decoder:
        loaded = loaded.get_encoder()
    words = _words(checkpoint, loaded, max_tokens)
    options = {"layers": layers, "dtype": dtype, "attention": attention, "max_tokens": words.limit}
    if drop_ends:
        words = replace(words, before=words.before + drop_ends, behind=words.behind + drop_ends)
        options["drop_ends"] = drop_ends
    return TextEncoder(
        loaded,
        words,
        layers=layers,
        fingerprint=checkpoint.fingerprint({"encoder": ["hf_text", REVISION], **options}),
        challenge_legal=not checkpoint.emotion_trained if challenge_legal is None else challenge_legal,
    )


@dataclass(frozen=True)
class Words:
    """A tokenizer. before, behind: tokens around a text that are no frames. limit: most tokens. pad: an id."""

    tokenizer: Any
    before: int
    behind: int
    limit: int
    pad: int

    def ids(self, text: str) -> tuple[list[int], int]:
        """The token ids, special ones included, and how many tokens the text has beyond the limit."""
        ids: list[int] = self.tokenizer(text, truncation=True, max_length=self.limit)["input_ids"]
        if len(ids) < self.limit:
            return ids, 0
        return ids, len(self.tokenizer(text)["input_ids"]) - len(ids)


class TextEncoder(nn.Module):
    """A frozen text model as an `Encoder`."""

    unkeyed = ("model", "challenge_legal")

    def __init__(self, model: Any, words: Words, *, layers: Layers, fingerprint: str, challenge_legal: bool) -> None:
        super().__init__()
        self.model = model
        self.words = words
        self.layers: Layers = layers
        self.count: int = model.config.num_hidden_layers
        used = len(states(layers, self.count))
        self.modality: Modality = "text"
        self.dim: int = model.config.hidden_size * (used if layers == "all" else 1)
        self.frames_per_second = 0.0
        self.fingerprint = fingerprint
        self.batching: Batching = "padded"
        self.challenge_legal = challenge_legal

    def prepare(self, recording: Recording) -> Tensor:
        """(tokens,) int64 ids. Raises AudioError for an utterance that has not been transcribed."""
        text = recording.utterance.text
        if text is None:
            raise AudioError(f"{recording.id}: has no transcript: `sertk transcribe` adds one")
        ids, cut = self.words.ids(text)
        if len(ids) <= self.words.before + self.words.behind:
            left = "no token left of the transcript" if text.strip() else "empty transcript"
            recording.remark(f"{left}: one frame of zeros")
            return torch.tensor([EMPTY])
        if cut:
            recording.remark(f"transcript of {len(ids) + cut} tokens cut to {len(ids)}")
        return torch.tensor(ids)

    @torch.no_grad()
    def forward(self, inputs: Padded) -> Padded:
        """(B, tokens) to (B, T, dim) float32."""
        device = next(self.model.parameters()).device
        inputs = inputs.to(device)
        ids = inputs.data.masked_fill(~inputs.mask | (inputs.data == EMPTY), self.words.pad)
        output = self.model(
            input_ids=ids, attention_mask=inputs.mask.long(), output_hidden_states=self.layers != "last"
        )
        found = pick(output, self.layers, self.count)  # (B, tokens, dim)
        first, last = self.words.before, self.words.behind
        empty = (inputs.data[:, 0] == EMPTY).tolist()
        rows = [
            found.new_zeros(1, self.dim) if empty[row] else found[row, first : length - last]
            for row, length in enumerate(inputs.lengths.tolist())
        ]
        return Padded.of(rows).to(device)


def _text_class(checkpoint: Pretrained) -> str:
    """The transformers class of a checkpoint. Raises EncoderError for one that is unknown or reads no tokens."""
    transformers = import_transformers()
    if checkpoint.architecture not in transformers.CONFIG_MAPPING:
        raise EncoderError(
            f"{checkpoint.folder}: transformers {transformers.__version__} does not know the architecture "
            f"{checkpoint.architecture!r}: install a version that does, or write an encoder of your own"
        )
    with reading(checkpoint.folder, "config"):
        config = transformers.AutoConfig.from_pretrained(checkpoint.folder, local_files_only=True)
        model_class = transformers.MODEL_MAPPING[type(config)]
    if model_class.main_input_name != "input_ids":
        raise EncoderError(
            f"{checkpoint.folder}: a {checkpoint.architecture!r} reads {model_class.main_input_name}, not text. "
            f"For a speech encoder use 'hf_speech'"
        )
    return str(model_class.__name__)


def _words(checkpoint: Pretrained, model: Any, max_tokens: int | None) -> Words:
    tokenizer = load_part(checkpoint, "AutoTokenizer", "tokenizer", TOKENIZER_FILES)
    rows = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > rows:
        raise EncoderError(f"{checkpoint.folder}: the tokenizer has {len(tokenizer)} tokens, the model {rows}")
    special: list[int] = tokenizer("a", return_special_tokens_mask=True)["special_tokens_mask"]
    if all(special):
        raise EncoderError(f"{checkpoint.folder}: the tokenizer makes no tokens of words: its vocabulary is missing")
    before, behind = special.index(0), special[::-1].index(0)
    positions = getattr(model.config, "max_position_embeddings", None) or 10**9
    # RoBERTa and its kin count positions from two on; two tokens less do no harm to the others.
    limit = min(tokenizer.model_max_length, positions if tokenizer.model_max_length <= positions else positions - 2)
    if max_tokens is not None:
        if not before + behind < max_tokens <= limit:
            raise EncoderError(f"max_tokens = {max_tokens}: this model takes {before + behind + 1} to {limit}")
        limit = max_tokens
    return Words(tokenizer, before, behind, limit, tokenizer.pad_token_id or 0)
