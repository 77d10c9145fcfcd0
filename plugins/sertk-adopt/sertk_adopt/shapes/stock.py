"""`*ForSequenceClassification` of transformers: superb/*-er and many others."""

from __future__ import annotations

from sertk_adopt.contract import AdoptError, Adoption, Asked, Public
from sertk_adopt.shapes.common import BASES, architecture_of, extractor_of, names_of_outputs, scale_of
from sertk_adopt.strict import encoder_config

HEAD = {
    "projector.weight": "fusion.dense.0.weight",
    "projector.bias": "fusion.dense.0.bias",
    "classifier.weight": "{head}.weight",
    "classifier.bias": "{head}.bias",
}
"""The projector is linear, so that it may come after the mean over time in place of before it."""

LAYERS = {"layer_weights": "fusion.inputs.mixers.0.scores"}


class Stock:
    """Heads of transformers' own classes: layer weights, projector, mean over time, classifier.

    wav2vec 2.0, HuBERT, WavLM, data2vec-audio; and Whisper, whose mean is over all 1,500 frames of its window.
    """

    def recognises(self, public: Public) -> bool:
        """By the projector."""
        return public.has("projector.") and not public.has("classifier.dense.", "classifier.out_proj.")

    def __call__(self, public: Public, asked: Asked) -> Adoption:
        """See `sertk_adopt.contract.Adopter`."""
        asked.only(public, "stock")
        architecture = architecture_of(public)
        if public.config.get("add_adapter"):
            raise AdoptError(f"{public.given}: has an adapter after the encoder, whose frames have a different rate")
        layers = public.config.get("num_hidden_layers") or public.config.get("encoder_layers")
        mixed = bool(public.config.get("use_weighted_layer_sum"))
        labels, attributes = names_of_outputs(public, asked, public.size("classifier.weight"))
        head = "head.attributes" if attributes else "head.emotion"
        fusion = {"widths": [public.size("projector.weight")]}
        return Adoption(
            config=encoder_config(public.config, architecture),
            extractor=extractor_of(public.source, public.given),
            prefix=BASES.get(architecture, "encoder."),
            head={name: new.format(head=head) for name, new in {**HEAD, **(LAYERS if mixed else {})}.items()},
            labels=labels,
            attributes=attributes,
            range=scale_of(public, asked, attributes),
            fusion=fusion | ({"input_layers": int(layers) + 1} if mixed and layers else {}),
            options={"layers": "all" if mixed else "last"}
            | ({"keep_padding": True} if architecture == "whisper" else {}),
        )


stock = Stock()
