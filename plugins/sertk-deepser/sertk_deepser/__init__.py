"""DeepSER, the deep fusion network of MEDUSA, for sertk."""

from sertk_deepser.fusion import DeepSER, deepser

__all__ = ["DeepSER", "deepser"]
