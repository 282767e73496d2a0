# shellcheck shell=bash
# What the commands that train with JAX share; sourced, not run.
# Sets export_dir and venv, and one thread: the sums of a threaded matrix product depend on the
# number of threads.

export_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=$(cd "$export_dir/../.." && pwd)/.starmill/venv-rrnet
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
export XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

# SYNSPEC is compiled where spectra are synthesised.
need_gfortran() {
    command -v gfortran >/dev/null && return
    echo "gfortran is missing; SYNSPEC needs it: installing the Debian package gfortran"
    if [ "$(id -u)" -ne 0 ]; then
        echo "not root: run 'apt-get install gfortran' first" >&2
        exit 1
    fi
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends gfortran
}

# Where further_packages names one more list of packages, it has an environment of its own.
make_environment() {
    local requirements lists
    lists=("$export_dir"/requirements{,-rrnet,-test}.txt)
    if [ -n "${further_packages:-}" ]; then
        lists+=("$export_dir/$further_packages")
        venv=${venv%/*}/venv-${further_packages#requirements-}
        venv=${venv%.txt}
    fi
    if [ ! -x "$venv/bin/python" ]; then
        echo "creating a Python environment in .starmill/${venv##*/}"
        python3 -m venv "$venv"
    fi
    requirements=$(cat "${lists[@]}")
    if [ "$requirements" != "$(cat "$venv/installed.txt" 2>/dev/null)" ]; then
        echo "installing into it, about 190 MB of wheels:"
        grep -h '==' <<<"$requirements"
        sort -u <<<"$requirements" | grep '==' >"$venv/wanted.txt"
        "$venv/bin/python" -m pip install --quiet --no-deps -r "$venv/wanted.txt"
        printf '%s\n' "$requirements" >"$venv/installed.txt"
    fi
}
