# The members of Table 1 at reduced width, on tiny random checkpoints of the same architectures (local/tiny_models.py):
# every part of the paper's recipe in minutes on a CPU. It shows that all of it runs; its scores mean nothing.
toy_utterances=${TOY_UTTERANCES:-240}
held_out_share=0.2
transcriber=(--use whisper --model models/whisper --language en)
members=$here/conf/members ensembles=$here/conf
train_jobs=${TRAIN_JOBS:-2}
training=(--set fusion.width=16 --set fusion.ffn_dim=32 --set compute.precision=float32 --set compute.threads=1
  --set stage.full.epochs=2 --set stage.full.optimizer.lr=1e-3
  --set stage.balanced.epochs=2 --set stage.balanced.optimizer.lr=1e-3)
python "$here/local/tiny_models.py" models >/dev/null
