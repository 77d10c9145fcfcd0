#!/usr/bin/env bash
# EMO-DB, leaving one speaker out at a time. See README.md beside this file.
#
#   sertk run recipes/emodb/run.sh --corpus /data/emodb
#
# stage 1: prepare - Read the corpus into a manifest, and see that it has what conf/ asks for
# stage 2: extract - Run each encoder once over the corpus
# stage 3: crossval - For each speaker, train the members without it, average them, and run all over it; score all
# option --corpus FOLDER = $EMODB: the folder of the corpus; README.md says where to get it
# option --preset NAME = whisper: whisper, linear models on Whisper's states; or small, networks without any download
# option --folds NUMBERS = $FOLDS: the numbers of the speakers to leave out, one at a time
# option --device NAME = auto: cpu, cuda, cuda:1, ...
# shellcheck disable=SC2154  # the options and what db.sh and cmd.sh set
set -euo pipefail
recipe=$(sertk recipe-shell "${BASH_SOURCE[0]}" -- "$@")
eval "$recipe"

mean=soft_vote.toml
case $preset in
  whisper)
    conf=$here/conf against=whisper
    votes=(--combine "$conf/$mean:whisper,compare")
    votes+=(--combine "soft_vote_by_speaker=$conf/$mean:whisper_by_speaker,compare_by_speaker")
    ;;
  small) conf=$here/conf/small against=soft_vote votes=(--combine "$here/conf/small/$mean") ;;
  *) echo "--preset $preset: there are whisper and small" >&2 && exit 2 ;;
esac
corpus=$(realpath "$corpus")
enter "${exp:-$here/exp/$preset}"
manifest=data/manifest.jsonl.gz
on=(--device "$device" "${force[@]}")

if want 1; then
  sertk data prepare emodb "$corpus" --out "$manifest" "${force[@]}"
  sertk check "$conf"/members/*.toml "$conf/$mean" --manifest "$manifest" --split test --quiet
fi
if want 2; then
  sertk extract "$conf"/encoders/*.toml --manifest "$manifest" --into features "${on[@]}"
fi
if want 3; then
  only=() && for fold in $folds; do only+=(--only "$fold"); done
  sertk crossval "$conf"/members/*.toml --manifest "$manifest" --into crossval "${only[@]}" "${votes[@]}" \
    --results RESULTS.md --compare "$against" --jobs "$train_jobs" "${on[@]}"
fi
