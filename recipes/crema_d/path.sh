# What every stage needs in its environment. `sertk run` has already put its own environment on the PATH.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
export TOKENIZERS_PARALLELISM=false
command -v sertk >/dev/null || { echo "path.sh: sertk is not on the PATH: activate its environment" >&2; exit 1; }
