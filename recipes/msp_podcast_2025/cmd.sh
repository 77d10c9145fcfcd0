# How much is done side by side. On one 24 GB GPU: one member at a time. On CPU cores: up to their number.
train_jobs=${TRAIN_JOBS:-1}
extract_jobs=${EXTRACT_JOBS:-1}
# What `--engine ray` is told beside: the address of a running cluster, and what a task takes of a GPU. For example
#   RAY_OPTIONS="--address auto --gpus 1" TRAIN_JOBS=14 EXTRACT_JOBS=8 sertk run run.sh --engine ray
# With more than one job, a cluster decides how many of them run at a time.
read -r -a ray_options <<< "${RAY_OPTIONS:-}"

# Slurm: a stage as a job of its own, which ends when the stage has ended. Use it in front of `sertk run`:
#   . recipes/msp_podcast_2025/cmd.sh
#   slurm sertk run recipes/msp_podcast_2025/run.sh --stage 4 --stop-stage 4
# It waits, and gives the exit status of the job. What was stopped goes on when the same line is given again.
slurm() {
  local quoted
  printf -v quoted '%q ' "$@"
  # shellcheck disable=SC2086
  sbatch --wait --job-name="${SLURM_NAME:-sertk}" --chdir="$PWD" --output="${SLURM_LOG:-slurm-%j.log}" \
    ${SLURM_OPTIONS:---gres=gpu:1 --cpus-per-task=8 --mem=64G --time=2-00:00:00 --requeue} --wrap="$quoted"
}
