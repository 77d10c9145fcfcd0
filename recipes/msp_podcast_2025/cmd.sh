# How many members train side by side on this machine. On one 24 GB GPU: 1. On CPU cores: up to their number.
train_jobs=${TRAIN_JOBS:-1}
