# Where the corpus lies: the folder that holds wav/. `--corpus` goes before this.
EMODB=${EMODB:-}
# Which speakers are left out, by their number from 1 to 10.
FOLDS=${FOLDS:-1 2 3 4 5 6 7 8 9 10}
