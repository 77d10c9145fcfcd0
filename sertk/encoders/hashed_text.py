"""Hashed words: a text encoder without weights, for tests, baselines and languages without a model."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sertk.config.schema import Positive
from sertk.data.recording import Recording
from sertk.errors import EncoderError
from sertk.files import sha256_json
from sertk.revisions import revision
from sertk.tensors import Padded

if TYPE_CHECKING:
    from sertk.contracts import Batching, Modality

REVISION = 2
"""Raised whenever the frames for the same transcript change."""

_MARK = "\u0300"
_WORD = re.compile(rf"\w[\w{_MARK}]*(?:'\w[\w{_MARK}]*)*")
_JOINERS = "\u200c\u200d"
"""Characters without a shape that may stand within a word of Persian, Hindi and others, as marks do."""
_SPELLING = str.maketrans({"’": "'", "\u00ad": None})
"""One apostrophe, no soft hyphens: how a text was typed is not what was spoken."""
_BITS = 512


@revision(REVISION)
def hashed_text(*, dim: Positive = 64, shortest: Positive = 3, longest: Positive = 5) -> HashedText:
    """One frame per word: the sum of vectors hashed from the word and its character n-grams.

    Words are lower-cased; each frame has length 1, so words that share n-grams are near each other. Composed and
    decomposed spellings of a letter are one (NFC); accents and vowel signs belong to their word. Where a script has
    no blanks between words, as Thai, what is between two blanks or signs counts as one word. A transcript without
    words, or none, is one zero frame.

    Parameters
    ----------
    dim
        D, the width of a frame.
    shortest, longest
        Characters of an n-gram, the word's bounds `<` and `>` counted.

    Raises
    ------
    EncoderError
        For options that make no vectors.

    References
    ----------
    Bojanowski et al., Enriching word vectors with subword information, 2017; here random signs by hash instead of
    learnt vectors.
    """
    if dim < 1 or not 1 <= shortest <= longest:
        raise EncoderError(
            f"hashed_text: dim {dim}, shortest {shortest}, longest {longest}: "
            f"needs dim >= 1 and 1 <= shortest <= longest"
        )
    return HashedText(dim, shortest, longest)


class HashedText(nn.Module):
    """Words to (B, T, dim). All is done in `prepare`; the module passes batches on."""

    modality: Modality = "text"
    batching: Batching = "padded"
    challenge_legal = True
    frames_per_second = 0.0

    def __init__(self, dim: int, shortest: int, longest: int) -> None:
        super().__init__()
        self.dim = dim
        self.fingerprint = sha256_json(["hashed_text", REVISION, dim, shortest, longest])
        self._shortest = shortest
        self._longest = longest

    def prepare(self, recording: Recording) -> Tensor:
        """(T, dim) of a transcript, T words, or one zero frame."""
        found = words(recording.utterance.text or "")
        if not found:
            return torch.zeros(1, self.dim)
        rows = [word_vector(word, self.dim, self._shortest, self._longest) for word in found]
        return torch.from_numpy(np.stack(rows))  # (T, D)

    def forward(self, inputs: Padded) -> Padded:
        """(B, T, dim) as prepared."""
        return inputs


def words(text: str) -> list[str]:
    """The lower-cased words of a transcript, composed (NFC), without punctuation."""
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower().translate(_SPELLING))
    outline = text if text.isascii() else "".join(_MARK if _is_mark(sign) else sign for sign in text)  # as long
    return [text[found.start() : found.end()] for found in _WORD.finditer(outline)]


@lru_cache(maxsize=4096)
def _is_mark(sign: str) -> bool:
    """Whether a character belongs to the letter before it: accents, vowel signs, joiners."""
    return sign in _JOINERS or unicodedata.category(sign).startswith("M")


@lru_cache(maxsize=65_536)
def word_vector(word: str, dim: int, shortest: int, longest: int) -> NDArray[np.float32]:
    """(dim,) of length 1: signs hashed from the word and its n-grams, summed."""
    total = sum((_signs(piece, dim) for piece in _pieces(word, shortest, longest)), np.zeros(dim, dtype=np.float32))
    norm = float(np.linalg.norm(total))
    vector = total / norm if norm > 0 else total
    vector.flags.writeable = False
    return vector


def _pieces(word: str, shortest: int, longest: int) -> Iterator[str]:
    bounded = f"<{word}>"
    yield bounded
    for size in range(shortest, min(longest, len(bounded) - 1) + 1):
        yield from (bounded[start : start + size] for start in range(len(bounded) - size + 1))


def _signs(piece: str, dim: int) -> NDArray[np.float32]:
    """(dim,) of -1 and 1, from BLAKE2b: the same in every process and on every machine."""
    blocks = [
        hashlib.blake2b(piece.encode(), digest_size=_BITS // 8, salt=number.to_bytes(8, "little")).digest()
        for number in range(-(-dim // _BITS))
    ]
    bits = np.unpackbits(np.frombuffer(b"".join(blocks), dtype=np.uint8))[:dim]
    return bits.astype(np.float32) * 2 - 1
