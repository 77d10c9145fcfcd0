"""DeepSER, the deep fusion network of MEDUSA, for sertk."""

from sertk_deepser.fusion import DeepSER

__all__ = ["DeepSER"]
