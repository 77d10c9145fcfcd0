"""What the benchmarks share: a made-up corpus of the real one's lengths, and how results are shown and kept."""
