"""Dense heads with a tanh: audeering's three attributes, and the families that came from one notebook."""

from __future__ import annotations

from sertk_adopt.contract import AdoptError, Adoption, Asked, Public
from sertk_adopt.shapes.common import BASES, architecture_of, extractor_of, names_of_outputs, scale_of
from sertk_adopt.strict import encoder_config

LAST = ("out_proj", "output")
"""Names of the last layer. A head that ends in `out_proj` has a tanh in all published code; of one that ends in
`output` some rewrites have one and others none."""

POOLINGS = ("mean", "max", "sum")


class Dense:
    """Heads of a dense layer, a tanh and a last layer, on the mean, maximum or sum over time."""

    def recognises(self, public: Public) -> bool:
        """By the parts of the classifier."""
        return public.has("classifier.dense.", *(f"classifier.{name}." for name in LAST))

    def __call__(self, public: Public, asked: Asked) -> Adoption:
        """See `sertk_adopt.contract.Adopter`."""
        architecture = architecture_of(public)
        if architecture not in BASES:
            raise AdoptError(f"{public.given}: a dense head on {architecture!r} is not known; on {', '.join(BASES)}")
        last = next((name for name in LAST if public.has(f"classifier.{name}.")), LAST[0])
        pooling = public.config.get("pooling_mode")
        settled = {"activation"} if last == "output" else set()
        asked.only(public, "dense", *settled, *(["pooling"] if pooling is None else []))
        if pooling is None and (pooling := asked.pooling) is None:
            raise AdoptError(
                f"{public.given}: config.json has no pooling_mode, so no file says how frames are pooled. Look it up "
                f"in the code of its authors: --pooling mean, max or sum"
            )
        if pooling not in POOLINGS:
            raise AdoptError(f"{public.given}: pooling_mode {pooling!r} is none of {', '.join(POOLINGS)}")
        if last == "output" and asked.activation is None:
            raise AdoptError(
                f"{public.given}: no file says whether a tanh is between classifier.dense and classifier.output; "
                f"published rewrites differ. Say it with --activation tanh or none; score both on the corpus that it "
                f"was trained on, and take the better one"
            )
        labels, attributes = names_of_outputs(public, asked, public.size(f"classifier.{last}.weight"))
        head = "head.attributes" if attributes else "head.emotion"
        return Adoption(
            config=encoder_config(public.config, architecture),
            extractor=extractor_of(public.source, public.given),
            prefix=BASES[architecture],
            head={
                "classifier.dense.weight": "fusion.dense.0.weight",
                "classifier.dense.bias": "fusion.dense.0.bias",
                f"classifier.{last}.weight": f"{head}.weight",
                f"classifier.{last}.bias": f"{head}.bias",
            },
            labels=labels,
            attributes=attributes,
            range=scale_of(public, asked, attributes),
            fusion={
                "pooling": pooling,
                "widths": [public.size("classifier.dense.weight")],
                "activation": asked.activation or "tanh",
            },
            options={"layers": "last"},
        )


dense = Dense()
