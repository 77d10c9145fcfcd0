# Settings of the real corpus. Transcripts by Whisper-large-v3, for train and test alike. Greedy selection is submitted.
held_out_share=0.1
transcriber=(--use whisper --model openai/whisper-large-v3 --language en)
further=(greedy)
submitted=greedy
