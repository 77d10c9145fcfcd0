"""Public checkpoints of speech emotion recognition as models of sertk: every weight used, or refused."""
