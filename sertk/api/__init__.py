"""What the verbs do, as functions: `sertk.train`, `sertk.predict` and the others. A verb calls one and prints."""
