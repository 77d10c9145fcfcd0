"""MSP-Podcast: its reader, the counts of its releases, and submissions to the 2025 challenge."""
