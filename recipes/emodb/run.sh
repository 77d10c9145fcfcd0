#!/usr/bin/env bash
# EMO-DB, leaving one speaker out at a time. See README.md beside this file.
#
#   sertk run recipes/emodb/run.sh --corpus /data/emodb
#
# stage 1: prepare - Read the corpus into a manifest for each speaker, and see that it has what conf/ asks for
# stage 2: extract - Run each encoder once over the corpus
# stage 3: train - Train the members, for each speaker without it
# stage 4: predict - Average members, and run all systems over the speaker that was left out
# stage 5: score - Score all speakers together and write RESULTS.md
# option --corpus FOLDER = $EMODB: the folder of the corpus; README.md says where to get it
# option --preset NAME = whisper: whisper, linear models on Whisper's states; or small, networks without any download
# option --folds NUMBERS = $FOLDS: the numbers of the speakers to leave out, one at a time
# option --device NAME = auto: cpu, cuda, cuda:1, ...
# shellcheck disable=SC2154  # the options and what db.sh and cmd.sh set
set -euo pipefail
recipe=$(sertk recipe-shell "${BASH_SOURCE[0]}" -- "$@")
eval "$recipe"

case $preset in
  whisper) conf=$here/conf against=members-whisper ;;
  small) conf=$here/conf/small against=ensembles-soft_vote ;;
  *) echo "--preset $preset: there are whisper and small" >&2 && exit 2 ;;
esac
corpus=$(realpath "$corpus")
enter "${exp:-$here/exp/$preset}"
exp=$PWD
manifest=data/manifest.jsonl.gz
on=(--device "$device" "${force[@]}")

for fold in $folds; do
  enter "$exp/fold$fold"
  if want 1; then
    sertk data prepare emodb "$corpus" --fold "$fold" --out "$manifest" "${force[@]}"
    sertk check "$conf"/members/*.toml "$conf/soft_vote.toml" --manifest "$manifest" --split test --quiet
  fi
done
if want 2; then
  sertk extract "$conf"/encoders/*.toml --manifest "$manifest" --into ../features "${on[@]}"
fi
for fold in $folds; do
  enter "$exp/fold$fold"
  if want 3; then
    sertk train "$conf"/members/*.toml --into members "${on[@]}" --jobs "$train_jobs"
  fi
  if want 4; then
    if [ "$preset" = small ]; then
      sertk combine "$conf/soft_vote.toml" members/* --out ensembles/soft_vote "${on[@]}"
    else
      sertk combine "$conf/soft_vote.toml" members/{whisper,compare} --out ensembles/soft_vote "${on[@]}"
      sertk combine "$conf/soft_vote.toml" members/{whisper,compare}_by_speaker --out ensembles/soft_vote_by_speaker "${on[@]}"
    fi
    sertk predict members/* ensembles/* --manifest "$manifest" --split test --into predictions/test "${on[@]}"
  fi
done
if want 5; then
  python "$here/../crema_d/local/pool.py" $folds --exp "$exp" --into pooled
  sertk score "$exp"/pooled/*.csv --manifest "$exp/pooled/manifest.jsonl.gz" --split test \
    --compare "$exp/pooled/$against.csv" --results "$exp/RESULTS.md" "${force[@]}"
fi
