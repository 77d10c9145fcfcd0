"""sertk: a plugin-based toolkit for speech emotion recognition."""

__version__ = "0.1.0"
