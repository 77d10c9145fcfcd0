#!/usr/bin/env bash
# MEDUSA's four stages on CREMA-D, end to end, on two CPU cores. See README.md beside this file.
#
#   sertk run recipes/crema_d/run.sh --corpus /data/CREMA-D                        one fold, members on Whisper
#   FOLDS="1 2 3 4 5" sertk run recipes/crema_d/run.sh --corpus /data/CREMA-D      all five, and one table of all
#   sertk run recipes/crema_d/run.sh --corpus /data/CREMA-D --preset small         members without any download
#
# Every stage skips what is up to date and goes on from where it was stopped. The shell holds no logic: each line
# is one sertk call or one script of local/. Features lie in the experiment folder, all else in a folder a fold,
# inside which it runs: paths in the configuration are relative to it.
#
# stage 1: prepare - Read the corpus into a manifest a fold, see that it has what conf/ asks for, and audit it
# stage 2: extract - Run each encoder once over the corpus
# stage 3: train - Train the members (the paper's stages 1 and 2 inside each)
# stage 4: posteriors - Run each member over the held-out and test parts
# stage 5: meta - Fit the votes, the prior correction and six meta-classifiers (the paper's stage 3)
# stage 6: soup - Average the meta-classifiers' weights (the paper's stage 4)
# stage 7: control - Name the control: the linear member, or with small a linear model on eGeMAPS functionals
# stage 8: predict - Predict the test part with every system
# stage 9: score - Score every system with intervals and write RESULTS.md and report.html
# option --corpus FOLDER = $CREMA_D: the folder of the corpus; README.md says where to get it
# option --preset NAME = whisper: whisper; small, no download; or wide, small with wide networks for a GPU
# option --labels NAME = votes: votes of listeners, or acted, what the actors were asked for
# option --folds NUMBERS = $FOLDS: which of the five folds to run, one after the other
# option --device NAME = auto: cpu, cuda, cuda:1, ...
# shellcheck disable=SC2154  # the options and what db.sh and cmd.sh set
set -euo pipefail
recipe=$(sertk recipe-shell "${BASH_SOURCE[0]}" -- "$@")
eval "$recipe"

corpus=$(realpath "$corpus") conf=$here/conf/small members=("$here/conf/small/members"/*.toml)
case $preset in
  whisper) conf=$here/conf members=("$here/conf/members"/*.toml) ;;
  small) ;;
  wide) members=("$here/conf/small/gpu"/*.toml) ;;
  *) echo "--preset $preset: there are whisper, small and wide" >&2 && exit 2 ;;
esac
case $labels in
  votes) read_as=() ;;
  acted) read_as=(--acted) ;;
  *) echo "--labels $labels: there are votes and acted" >&2 && exit 2 ;;
esac
enter "${exp:-$here/exp/$preset}"
exp=$PWD
manifest=data/manifest.jsonl.gz
on=(--device "$device" "${force[@]}")

for fold in $folds; do
  enter "$exp/fold$fold"
  if want 1; then
    sertk data prepare crema_d "$corpus" --fold "$fold" "${read_as[@]}" --out "$manifest" "${force[@]}"
    sertk check "${members[@]}" "$conf"/{vote,soft_vote,prior_corrected,meta,soup}.toml --manifest "$manifest" --split test --quiet
  fi
done
if want 1; then
  sertk data audit "$manifest" --html "$exp/audit.html" "${force[@]}"
fi
if want 2; then
  parts=()
  for part in $(seq 0 $((extract_jobs - 1))); do
    sertk extract "$conf"/encoders/*.toml --manifest "$manifest" --into ../features --shard "$part/$extract_jobs" "${on[@]}" &
    parts+=($!)
  done
  for part in "${parts[@]}"; do wait "$part"; done
fi
for fold in $folds; do
  enter "$exp/fold$fold"
  if want 3; then
    sertk train "${members[@]}" --into members "${on[@]}" --jobs "$train_jobs"
  fi
  voters=(members/*) && [ "$preset" != whisper ] || voters=(members/linear members/deepser_*)
  if want 4; then
    sertk extract "${voters[@]}" --manifest "$manifest" --into posteriors "${on[@]}" --splits held_out,test
  fi
  if want 5; then
    sertk combine "$conf/vote.toml" posteriors/* --out ensembles/vote "${on[@]}"
    sertk combine "$conf/soft_vote.toml" posteriors/* --out ensembles/soft_vote "${on[@]}"
    sertk combine "$conf/prior_corrected.toml" posteriors/* --out ensembles/prior_corrected "${on[@]}"
    sertk combine "$conf/meta.toml" posteriors/* --out ensembles/meta "${on[@]}"
  fi
  if want 6; then
    sertk combine "$conf/soup.toml" ensembles/meta/* --out ensembles/soup "${on[@]}"
  fi
  if want 7 && [ "$preset" = whisper ]; then
    sertk predict members/linear --manifest "$manifest" --split test --output predictions/test/control.csv "${on[@]}"
  elif want 7; then
    python "$here/local/control.py" --features ../features/egemaps --manifest "$manifest" \
      --split test --output predictions/test/control.csv "${force[@]}"
  fi
  if want 8; then
    sertk predict members/* ensembles/vote ensembles/soft_vote ensembles/prior_corrected ensembles/meta/* ensembles/soup \
      --manifest "$manifest" --split test --into predictions/test "${on[@]}"
  fi
  if want 9; then
    sertk score predictions/test/*.csv --manifest "$manifest" --split test --compare predictions/test/control.csv \
      --results RESULTS.md "${force[@]}"
    sertk score predictions/test/ensembles-soup.csv --manifest "$manifest" --split test --card ensembles/soup "${force[@]}"
    sertk report . "${force[@]}"
  fi
done
if want 9; then
  python "$here/local/pool.py" $folds --exp "$exp" --into pooled
  sertk score "$exp"/pooled/*.csv --manifest "$exp/pooled/manifest.jsonl.gz" --split test \
    --compare "$exp/pooled/control.csv" --results "$exp/RESULTS.md" "${force[@]}"
fi
