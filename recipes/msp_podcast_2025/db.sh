# Where the corpus lies: the folder that holds Audios/, Labels/ and Transcripts/. `--corpus` goes before this.
MSP_PODCAST=${MSP_PODCAST:-}
