#!/usr/bin/env bash
# MEDUSA's four stages on CREMA-D, end to end, on two CPU cores. See README.md beside this file.
#
#   sertk run recipes/crema_d/run.sh --corpus /data/CREMA-D                        one fold, members on Whisper
#   FOLDS="1 2 3 4 5" sertk run recipes/crema_d/run.sh --corpus /data/CREMA-D      all five
#   sertk run recipes/crema_d/run.sh --corpus /data/CREMA-D --preset small         members without any download
#
# Every stage skips what is up to date and goes on from where it was stopped. The shell holds no logic: each line is one
# sertk call. All is in the experiment folder; paths in the configuration are relative to it.
#
# stage 1: prepare - Read the corpus into a manifest, see that it has what conf/ asks for, and audit it
# stage 2: extract - Run each encoder once over the corpus
# stage 3: crossval - In each fold: train the members, fit votes, prior correction, meta-classifiers and soup, predict
# stage 4: report - Write the scores onto the soups' cards, and the report
# option --corpus FOLDER = $CREMA_D: the folder of the corpus; README.md says where to get it
# option --preset NAME = whisper: whisper; small, no download; or wide, small with wide networks for a GPU
# option --labels NAME = votes: votes of listeners, or acted, what the actors were asked for
# option --folds NUMBERS = $FOLDS: which of the five folds to run
# option --device NAME = auto: cpu, cuda, cuda:1, ...
# shellcheck disable=SC2154  # the options and what db.sh and cmd.sh set
set -euo pipefail
recipe=$(sertk recipe-shell "${BASH_SOURCE[0]}" -- "$@")
eval "$recipe"

corpus=$(realpath "$corpus") conf=$here/conf/small control=control voters="0*"
members=("$conf/members"/*.toml)
case $preset in
  whisper) conf=$here/conf control=linear voters="linear,deepser_*" members=("$here/conf/members"/*.toml) ;;
  small) ;;
  wide) members=("$conf/gpu"/*.toml "$conf/members/control.toml") ;;
  *) echo "--preset $preset: there are whisper, small and wide" >&2 && exit 2 ;;
esac
case $labels in
  votes) read_as=() ;;
  acted) read_as=(--acted) ;;
  *) echo "--labels $labels: there are votes and acted" >&2 && exit 2 ;;
esac
enter "${exp:-$here/exp/$preset}"
manifest=data/manifest.jsonl.gz
on=(--device "$device" "${force[@]}")

if want 1; then
  sertk data prepare crema_d "$corpus" "${read_as[@]}" --out "$manifest" "${force[@]}"
  sertk check "${members[@]}" "$conf"/{vote,soft_vote,prior_corrected,greedy_macro_f1,greedy_uar,meta,soup}.toml --manifest "$manifest" --split test --quiet
  sertk data audit "$manifest" --html audit.html "${force[@]}"
fi
if want 2; then
  sertk extract "$conf"/encoders/*.toml --manifest "$manifest" --into features --jobs "$extract_jobs" "${on[@]}"
fi
if want 3; then
  only=() && for fold in $folds; do only+=(--only "$fold"); done
  votes=() && for name in vote soft_vote prior_corrected greedy_{macro_f1,uar} meta; do votes+=(--combine "$conf/$name.toml:$voters"); done
  sertk crossval "${members[@]}" --manifest "$manifest" --into crossval "${only[@]}" "${votes[@]}" \
    --combine "$conf/soup.toml:meta-*" --results RESULTS.md --compare "$control" --jobs "$train_jobs" "${on[@]}"
fi
if want 4; then
  for fold in crossval/fold_*; do
    sertk score "$fold/predictions/soup.csv" --manifest "$fold/manifest.jsonl.gz" --split test --card "$fold/ensembles/soup" "${force[@]}"
  done
  sertk report crossval "${force[@]}"
fi
