#!/usr/bin/env bash
# A whole run, or a part of it, as batch jobs: `fivephase submit` of the checkout that this script lies in.
#
#   launch/chain.sh [--dry-run] [--gpus] [--config-dir DIR] [Hydra overrides] [-- sbatch options for every job]
#   launch/chain.sh --dry-run scale=granite_4_1_8b run=first
#   launch/chain.sh --gpus scale=granite_4_1_8b run=first from=phase1 -- --partition=gpu --exclusive
#
# Runs, recipes and configurations are those of the working directory. A job whose upstream fails is canceled.
# Submitting again, when no job of the run is left, is safe: finished stages are passed over.
set -euo pipefail

checkout=$(dirname "$(cd "$(dirname "${BASH_SOURCE[0]}")" >/dev/null && pwd)")
# The package that lies beside this script, whether it is installed or not.
export PYTHONPATH=$checkout${PYTHONPATH:+:$PYTHONPATH}
python=${FIVEPHASE_PYTHON:-$checkout/.venv/bin/python}
if ! command -v "$python" >/dev/null; then
  echo "fivephase is not installed yet: type make setup in $checkout" >&2
  exit 2
fi
exec "$python" -P -m pipeline submit "$@"
