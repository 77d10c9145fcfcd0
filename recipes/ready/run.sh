#!/usr/bin/env bash
# The ready models of the package sertk-ready. See README.md beside this file.
#
#   sertk run recipes/ready/run.sh --corpus /data/CREMA-D --other /data/emodb
#
# stage 1: prepare - Read both corpora; the second gets the classes of the first
# stage 2: extract - Log-mel frames of the first
# stage 3: train - Train the members; nobody of fold 1 is in their training or their held-out part
# stage 4: combine - Average them, with a temperature fitted on the held-out speakers
# stage 5: score - Score fold 1's speakers, and those of the other corpus from their recordings
# option --corpus FOLDER = $CREMA_D: the folder of CREMA-D
# option --other FOLDER = $EMODB: the folder of EMO-DB
# option --device NAME = cpu: cpu, cuda, cuda:1, ...; the package's were trained on a CPU
# shellcheck disable=SC2154  # the options and what db.sh and cmd.sh set
set -euo pipefail
recipe=$(sertk recipe-shell "${BASH_SOURCE[0]}" -- "$@")
eval "$recipe"

corpus=$(realpath "$corpus") other=$(realpath "$other")
enter "${exp:-$here/exp}"
manifest=data/manifest.jsonl.gz mapped=data/other.jsonl.gz
on=(--device "$device" "${force[@]}")

if want 1; then
  sertk data prepare crema_d "$corpus" --fold 1 --out "$manifest" "${force[@]}"
  sertk check "$here/conf/members"/*.toml "$here/conf/small.toml" --manifest "$manifest" --split test --quiet
  sertk data prepare emodb "$other" --out data/emodb.jsonl.gz "${force[@]}"
  sertk data map data/emodb.jsonl.gz --map "$here/emodb.toml" --out "$mapped" "${force[@]}"
fi
if want 2; then
  sertk extract "$here/conf/encoders"/*.toml --manifest "$manifest" --into features --jobs "$train_jobs" "${on[@]}"
fi
if want 3; then
  sertk train "$here/conf/members"/*.toml --into members --jobs "$train_jobs" "${on[@]}"
fi
if want 4; then
  sertk combine "$here/conf/small.toml" members/* --out small "${on[@]}"
  sertk combine "$here/conf/uncalibrated.toml" members/* --out uncalibrated "${on[@]}"
fi
if want 5; then
  sertk predict small "$other" --output predictions_other/small.csv "${on[@]}"
  sertk score predictions_other/small.csv --manifest "$mapped" --split train --split held_out --split test --results OTHER.md "${force[@]}"
  sertk predict members/* small uncalibrated --manifest "$manifest" --split test --into predictions "${on[@]}"
  sertk score predictions/*.csv --manifest "$manifest" --split test --results RESULTS.md "${force[@]}"
  sertk score predictions/small.csv --manifest "$manifest" --split test --card small "${force[@]}"
fi
