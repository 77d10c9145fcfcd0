# Settings of the made-up corpus: its own words, two members at a time.
toy_utterances=${TOY_UTTERANCES:-900}
held_out_share=0.2
transcriber=(--use corpus)
train_jobs=${TRAIN_JOBS:-2}
