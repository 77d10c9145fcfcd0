#!/usr/bin/env bash
# EMO-DB, leaving one speaker out at a time. See README.md beside this file.
#
#   sertk run recipes/emodb/run.sh --corpus /data/emodb
#
# stage 1: prepare - Read the corpus into a manifest a speaker, and see that it has what conf/ asks for
# stage 2: extract - Run each encoder once over the corpus
# stage 3: train - Train the members, for each speaker without it
# stage 4: predict - Run the members over the speaker that was left out, and average them
# stage 5: score - Score all speakers together and write RESULTS.md
set -euo pipefail
here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
. "$here/path.sh"
. "$here/db.sh"
. "$here/cmd.sh"

stage=1 stop_stage=5 corpus=${EMODB} exp='' device=auto engine=local folds=${FOLDS} force=()
while [ $# -gt 0 ]; do
  case $1 in
    --stage | --stop-stage | --corpus | --exp | --device | --engine | --folds)
      name=${1#--}; declare "${name//-/_}=$2"; shift 2 ;;
    --force) force=(--force); shift ;;
    *) echo "run.sh: unknown option $1; options: --stage --stop-stage --corpus --exp --device --engine --folds --force" >&2; exit 2 ;;
  esac
done
if [ -z "$corpus" ]; then
  echo "run.sh: no corpus. Give --corpus FOLDER or set EMODB in db.sh; README.md says where it is to be had." >&2
  exit 2
fi
corpus=$(realpath "$corpus") conf=$here/conf
want() { [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ]; }
enter() { mkdir -p "$1" && cd "$(realpath "$1")" || { echo "run.sh: the folder $1 cannot be made or entered" >&2; exit 1; }; }
enter "${exp:-$here/exp/paper}"
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
    sertk extract members/* --manifest "$manifest" --into posteriors "${on[@]}" --splits held_out,test
    sertk combine "$conf/soft_vote.toml" posteriors/* --out ensembles/soft_vote "${on[@]}"
    sertk predict members/* ensembles/soft_vote --manifest "$manifest" --split test --into predictions/test "${on[@]}"
  fi
done
if want 5; then
  python "$here/../crema_d/local/pool.py" $folds --exp "$exp" --into pooled
  sertk score "$exp"/pooled/*.csv --manifest "$exp/pooled/manifest.jsonl.gz" --split test \
    --results "$exp/RESULTS.md" "${force[@]}"
fi
