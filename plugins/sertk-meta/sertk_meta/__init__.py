"""MEDUSA's meta-classifiers for sertk."""
