#!/usr/bin/env bash
# MEDUSA (arXiv 2506.09556) on MSP-Podcast, end to end. See README.md beside this file.
#
#   sertk run recipes/msp_podcast_2025/run.sh --corpus /data/MSP-PODCAST     (or --corpus toy)
#
# Every stage skips what is up to date and goes on from where it was stopped. The shell holds no logic: each line
# is one sertk call. Paths in the configuration are relative to the experiment folder, where all of it runs.
#
# stage 1: prepare - Read the corpus into a manifest, hold out some speakers, and see that it has what conf/ asks for
# stage 2: transcribe - Put the words of one source into every split
# stage 3: extract - Run each frozen encoder once over the corpus
# stage 4: train - Train the members (the paper's stages 1 and 2 inside each)
# stage 5: posteriors - Run each member over the held-out and test parts
# stage 6: meta - Fit the votes, the prior correction and six meta-classifiers
# stage 7: soup - Average the meta-classifiers' weights
# stage 8: predict - Predict Test3 and write the submission
# stage 9: score - Score every system with intervals and write RESULTS.md
# option --corpus FOLDER = $MSP_PODCAST: the folder of the corpus, or toy: `--corpus toy` is the made-up one
# option --preset NAME = auto: paper, authors_code, plus, toy or tiny; auto is paper, and toy for the made-up corpus
# option --device NAME = auto: cpu, cuda, cuda:1, ...
# option --engine NAME = local: local or ray
# shellcheck disable=SC2154  # the options and what db.sh and cmd.sh set
set -euo pipefail
recipe=$(sertk recipe-shell "${BASH_SOURCE[0]}" -- "$@")
eval "$recipe"

if [ "$preset" = auto ]; then [ "$corpus" = toy ] && preset=toy || preset=paper; fi
[ "$corpus" = toy ] || corpus=$(realpath "$corpus")
if [ "$preset" = paper ]; then conf=$here/conf; else conf=$here/conf/$preset; fi
[ -f "$conf/settings.sh" ] || { echo "run.sh: no preset $preset: paper, authors_code, plus, toy or tiny" >&2; exit 2; }
enter "${exp:-$here/exp/$preset}"
members=$conf/members ensembles=$conf training=() further=() submitted=soup
. "$conf/settings.sh"
combinations=()
for name in vote soft_vote prior_corrected meta soup "${further[@]}"; do combinations+=("$ensembles/$name.toml"); done
manifest=data/manifest.jsonl.gz
on=(--device "$device" "${force[@]}")
via=(--engine "$engine") && [ "$engine" != ray ] || via+=("${ray_options[@]}")

if want 1; then
  [ "$corpus" != toy ] || sertk data toy corpus --utterances "$toy_utterances"
  [ "$corpus" != toy ] || corpus=corpus
  sertk data prepare msp_podcast "$corpus" --out data/corpus.jsonl.gz "${force[@]}"
  sertk data split data/corpus.jsonl.gz --split train --into held_out --share "$held_out_share" --out data/split.jsonl.gz \
    "${force[@]}"
  sertk check "$members"/*.toml --manifest data/split.jsonl.gz --split development --split test3 --quiet "${training[@]}"
  sertk check "$conf"/encoders/*.toml "${combinations[@]}" --manifest data/split.jsonl.gz --quiet
fi
if want 2; then
  sertk transcribe data/split.jsonl.gz --out "$manifest" "${on[@]}" "${transcriber[@]}"
fi
if want 3; then
  sertk extract "$conf"/encoders/*.toml --manifest "$manifest" --into features "${on[@]}" "${via[@]}" --jobs "$extract_jobs"
fi
if want 4; then
  sertk train "$members"/*.toml --into members "${on[@]}" "${via[@]}" --jobs "$train_jobs" "${training[@]}"
fi
if want 5; then
  sertk extract members/* --manifest "$manifest" --into posteriors "${on[@]}" \
    --splits held_out,development,test3
fi
if want 6; then
  sertk combine "$ensembles/vote.toml" posteriors/* --out ensembles/vote "${on[@]}"
  sertk combine "$ensembles/soft_vote.toml" posteriors/* --out ensembles/soft_vote "${on[@]}"
  sertk combine "$ensembles/prior_corrected.toml" posteriors/* --out ensembles/prior_corrected "${on[@]}"
  sertk combine "$ensembles/meta.toml" posteriors/* --out ensembles/meta "${on[@]}"
  for name in "${further[@]}"; do
    sertk combine "$ensembles/$name.toml" posteriors/* --out "ensembles/$name" "${on[@]}"
  done
fi
if want 7; then
  sertk combine "$ensembles/soup.toml" ensembles/meta/* --out ensembles/soup "${on[@]}"
fi
if want 8; then
  sertk predict members/* ensembles/vote ensembles/soft_vote ensembles/prior_corrected ensembles/meta/* ensembles/soup \
    "${further[@]/#/ensembles/}" --manifest "$manifest" --split development --into predictions/development "${on[@]}"
  sertk predict "ensembles/$submitted" --manifest "$manifest" --split test3 \
    --output "predictions/test3/ensembles-$submitted.csv" "${on[@]}"
  sertk submit "predictions/test3/ensembles-$submitted.csv" --manifest "$manifest" --split test3 --out submission \
    --model "ensembles/$submitted" "${force[@]}"
fi
if want 9; then
  sertk score predictions/development/*.csv --manifest "$manifest" --split development --results RESULTS.md \
    "${force[@]}"
  sertk score "predictions/development/ensembles-$submitted.csv" --manifest "$manifest" --split development \
    --card "ensembles/$submitted" "${force[@]}"
fi
