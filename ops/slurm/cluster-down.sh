#!/usr/bin/env bash
# Ends the cluster that ops/slurm/cluster-up.sh DIR started, and all jobs on it. Its folder stays, and
# cluster-up.sh goes on with it.
set -euo pipefail
[ $# -eq 1 ] || { printf 'usage: %s DIR\n' "$0" >&2 && exit 2; }
dir=$(realpath --canonicalize-missing -- "$1")

# The cluster's daemons, its jobs and what these started: all began with the cluster's configuration in
# their environment, wherever their parents are by now. Jobs also have their number there, which tells
# them from a shell of somebody who looks at the cluster. What has ended has no environment.
members() {
  local place name
  { grep -lzxF "SLURM_CONF=$dir/slurm.conf" /proc/[0-9]*/environ || true; } | while read -r place; do
    read -r name <"${place%environ}comm" || continue
    if [[ $name == slurm* || $name == munged ]] || grep -qz '^SLURM_JOB_ID=' "$place"; then
      basename "${place%/environ}"
    fi
  done
}

# Daemons write down what they know when they are asked to end; jobs would wait for their steps.
for signal in TERM KILL; do
  begin=$SECONDS
  while mapfile -t processes < <(members 2>/dev/null) && [ ${#processes[@]} -gt 0 ]; do
    [ $((SECONDS - begin)) -lt 4 ] || break
    kill -s "$signal" "${processes[@]}" 2>/dev/null || true
    sleep 0.3
  done
done
[ ${#processes[@]} -eq 0 ] || { printf 'error: still alive: %s\n' "${processes[*]}" >&2 && exit 1; }
rm -f "$dir"/run/*.pid
