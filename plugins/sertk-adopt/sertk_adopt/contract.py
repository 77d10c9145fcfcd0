"""What an adopter is given, and what it gives back: which tensor of a public checkpoint becomes what.

An adopter is an object with two functions, registered by entry point in the group `sertk_adopters`:

    class Adopter:
        def recognises(self, public: Public) -> bool: ...
        def __call__(self, public: Public, asked: Asked) -> Adoption: ...

It reads names, shapes and settings, and calls for single tensors at most. It sets no weight itself: `Adoption` names
for each tensor what it becomes, and `sertk_adopt.strict` sees that none is left over, missing or of another shape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Protocol

from torch import Tensor

from sertk.errors import SertkError
from sertk.pretrained import Pretrained

Tensors = dict[str, Tensor]


class AdoptError(SertkError):
    """A public checkpoint that cannot be adopted as it is."""


@dataclass(frozen=True)
class Public:
    """A public checkpoint. shapes: of its tensors, by name. given: what the user gave, for messages."""

    source: Pretrained
    shapes: Mapping[str, tuple[int, ...]]
    given: str

    @property
    def config(self) -> Mapping[str, Any]:
        """The content of its config.json."""
        return self.source.config

    def has(self, *beginnings: str) -> bool:
        """Whether the name of some tensor begins so."""
        return any(name.startswith(beginnings) for name in self.shapes)

    def size(self, name: str, axis: int = 0) -> int:
        """The size of a tensor along an axis. Raises AdoptError where it is not there."""
        if name not in self.shapes or axis >= len(self.shapes[name]):
            raise AdoptError(f"{self.given}: there is no tensor {name} with {axis + 1} axes or more")
        return self.shapes[name][axis]


@dataclass(frozen=True)
class Asked:
    """What only the user knows; None for what was not given.

    labels: classes or attributes, in the order of the outputs. range: the scale of attributes. activation: of the
    dense layer. pooling: over frames. lora: whether the weights contain the factors already. head: the classes of
    which head. encoder: hub id or folder with the settings of the encoder.
    """

    labels: tuple[str, ...] | None = None
    range: tuple[float, float] | None = None
    activation: Literal["tanh", "none"] | None = None
    pooling: Literal["mean", "max", "sum"] | None = None
    lora: Literal["merged", "unmerged"] | None = None
    head: Literal["primary", "secondary"] | None = None
    encoder: str | None = None

    def only(self, public: Public, shape: str, *used: str) -> None:
        """Raise AdoptError for an option that says nothing about a checkpoint of this shape."""
        given = [each.name for each in fields(self) if getattr(self, each.name) is not None]
        for name in given:
            if name not in (*used, "labels", "range"):
                raise AdoptError(f"{public.given}: --{name} is not for this checkpoint, whose shape is {shape}")


@dataclass(frozen=True)
class Adoption:
    """How a public checkpoint becomes a native one.

    config, extractor: config.json and preprocessor_config.json of the encoder, of one that `hf_speech` reads.
    prefix: of the encoder's tensors in the public checkpoint. renames: pattern and replacement of names, without the
    prefix, where the encoder's differ. head: the tensors of the head, by public name, and what they become in
    `sertk.models.classifier.Classifier`, as far as `finish` leaves them so. unused: patterns of the tensors that are
    left out on purpose, and why.

    use, options: the encoder component and its options. fusion: options of the fusion `adopted`. labels, attributes:
    classes and attributes in the order of the outputs. range: of each attribute. output: whether attributes go
    through a sigmoid. finish, finish_encoder: what is computed from tensors, after they are renamed.
    """

    config: Mapping[str, Any]
    extractor: Mapping[str, Any]
    prefix: str
    head: Mapping[str, str]
    labels: tuple[str, ...]
    attributes: tuple[str, ...]
    range: tuple[float, float]
    fusion: Mapping[str, Any]
    options: Mapping[str, Any]
    use: str = "hf_speech"
    output: Literal["linear", "sigmoid"] = "linear"
    renames: tuple[tuple[str, str], ...] = ()
    unused: Mapping[str, str] = field(default_factory=dict)
    finish: Callable[[Tensors], Tensors] = lambda tensors: tensors
    finish_encoder: Callable[[Tensors], Tensors] = lambda tensors: tensors
    remarks: tuple[str, ...] = ()


class Adopter(Protocol):
    """Adopts public checkpoints of one shape."""

    def recognises(self, public: Public) -> bool:
        """Whether a checkpoint is of this shape, by names that no other has, even if one tensor is missing."""
        ...

    def __call__(self, public: Public, asked: Asked) -> Adoption:
        """Say what becomes of each tensor. Raises AdoptError for what only the user knows and did not say."""
        ...
