# Settings of the real corpus. Transcripts by Whisper-large-v3, for train and test alike, as the paper says.
held_out_share=0.1
transcriber=(--use whisper --model openai/whisper-large-v3 --language en)
