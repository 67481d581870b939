#!/usr/bin/env bash
# A whole run, or a part of it, as batch jobs: one per stage, each waiting for the stages it reads.
#
#   launch/chain.sh [--dry-run] [--gpus] [--config-dir DIR] [Hydra overrides] [-- sbatch options for every job]
#   launch/chain.sh --dry-run scale=granite_4_1_8b run=first
#   launch/chain.sh --gpus scale=granite_4_1_8b run=first from=phase1 -- --partition=gpu --exclusive
#
# --dry-run prints the sbatch commands and writes nothing; --gpus asks for one GPU per task. Runs, recipes and
# configurations are those of the working directory, as for `fivephase`.
# A job whose upstream fails is canceled. Submitting again is safe: a finished stage ends at once.
set -euo pipefail

launch=$(cd "$(dirname "${BASH_SOURCE[0]}")" >/dev/null && pwd)
checkout=$(dirname "$launch")
python=${FIVEPHASE_PYTHON:-$checkout/.venv/bin/python}
# Jobs run the package that lies beside this script, whether it is installed or not.
export PYTHONPATH=$checkout${PYTHONPATH:+:$PYTHONPATH}

dry_run=no
gpus=no
freeze=(--freeze)
config_dir=()
overrides=()
options=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --dry-run)
      dry_run=yes
      freeze=()
      ;;
    --gpus) gpus=yes ;;
    --config-dir)
      config_dir=("$1" "${2:?--config-dir: name a folder}")
      shift
      ;;
    --)
      options=("${@:2}")
      break
      ;;
    -h | --help)
      sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    -*)
      echo "chain.sh: $1: unknown option; sbatch's own options come after --" >&2
      exit 2
      ;;
    *) overrides+=("$1") ;;
  esac
  shift
done
if [[ $dry_run == no ]] && ! command -v sbatch >/dev/null; then
  echo "chain.sh: no sbatch on this machine; log in to the cluster, or use --dry-run" >&2
  exit 2
fi

plan=$("$python" -P -m pipeline plan "${freeze[@]}" "${config_dir[@]}" --format=tsv "${overrides[@]}")

declare -A job_of # stage to job id, of the stages submitted here; the others are done
while IFS='|' read -r stage nodes tasks directory upstream time; do
  dependency=""
  for name in ${upstream//,/ }; do
    if [[ -n ${job_of[$name]:-} ]]; then dependency+=:${job_of[$name]}; fi
  done
  command=(
    sbatch --parsable
    --job-name="$(basename "$(dirname "$directory")")/$stage"
    --nodes="$nodes" --ntasks-per-node="$tasks" --time="$time"
    --output="$directory/slurm-%j.log"
  )
  if [[ $gpus == yes ]]; then command+=(--gpus-per-node="$tasks"); fi
  if [[ -n $dependency ]]; then
    command+=(--dependency="afterok$dependency" --kill-on-invalid-dep=yes)
  fi
  command+=("${options[@]}" "$launch/stage.sbatch" "$directory")

  if [[ $dry_run == yes ]]; then
    job_of[$stage]=id-of-$stage
    printf '%q ' "${command[@]}"
    echo
  else
    job=$(FIVEPHASE_PYTHON=$python "${command[@]}")
    job_of[$stage]=${job%%;*} # a federation adds ;cluster
    echo "${job_of[$stage]} $stage"
  fi
done < <(tr '\t' '|' <<<"$plan") # not a tab: read would merge two of them around an empty field
