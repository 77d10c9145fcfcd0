# How many processes run side by side on this machine: models that are trained, and parts of the corpus in extraction.
train_jobs=${TRAIN_JOBS:-2}
