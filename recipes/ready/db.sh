# The folder of CREMA-D that holds AudioWAV/ and processedResults/. `--corpus` takes precedence.
CREMA_D=${CREMA_D:-}
# The folder of EMO-DB that holds wav/: another language, to say how far the model carries. `--other` takes precedence.
EMODB=${EMODB:-}
