# What every recipe's run.sh shares. `sertk recipe-shell` writes the values of its options before this.
here=$(realpath "$(dirname "${BASH_SOURCE[0]}")")
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} TOKENIZERS_PARALLELISM=${TOKENIZERS_PARALLELISM:-false}
# need NAME HINT: end the script unless the option has a value.
need() { [ -n "${!1}" ] || { echo "run.sh: no $1. $2" >&2; exit 2; }; }
# want N: whether stage N is to run.
want() { [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ]; }
# enter FOLDER: make it and go there.
enter() { mkdir -p "$1" && cd "$(realpath "$1")" || { echo "run.sh: the folder $1 cannot be made or entered" >&2; exit 1; }; }
for file in db cmd; do [ ! -f "$here/$file.sh" ] || . "$here/$file.sh"; done
