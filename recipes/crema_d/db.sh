# Where the corpus lies: the folder that holds AudioWAV/ and processedResults/. `--corpus` goes before this.
CREMA_D=${CREMA_D:-}
# Which of the five folds are run, one after the other: FOLDS="1 2 3 4 5".
FOLDS=${FOLDS:-1}
