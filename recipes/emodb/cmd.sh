# How many members train side by side on this machine, and how many parts of the corpus are extracted at once.
train_jobs=${TRAIN_JOBS:-2}
