"""What a recipe will take, before the work: hours of audio, disk, memory, time."""
