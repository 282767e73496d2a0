# shellcheck shell=bash
# What the commands that train, import and compare share; sourced, not run.
# Sets export_dir, the folder of the environments, and one thread: the sums of a threaded matrix
# product depend on the number of threads.

export_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
environments=$(cd "$export_dir/../.." && pwd)/.starmill
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

# Makes or updates an environment of Python packages, and sets venv: make_environment NAME
#   export  numpy, astropy and onnx
#   rrnet   these with JAX, and what tests need
#   table1  these with the methods that FCResNet is compared with
make_environment() {
    local requirements size="40 MB" lists=("$export_dir/requirements.txt")
    case $1 in
        rrnet | table1)
            size="190 MB"
            lists+=("$export_dir"/requirements-{rrnet,test}.txt)
            ;;
    esac
    [ "$1" != table1 ] || lists+=("$export_dir/requirements-table1.txt")
    venv=$environments/venv-$1
    if [ ! -x "$venv/bin/python" ]; then
        echo "creating a Python environment in .starmill/venv-$1"
        python3 -m venv "$venv"
    fi
    requirements=$(cat "${lists[@]}")
    if [ "$requirements" != "$(cat "$venv/installed.txt" 2>/dev/null)" ]; then
        echo "installing into it, about $size of wheels:"
        grep -h '==' <<<"$requirements"
        sort -u <<<"$requirements" | grep '==' >"$venv/wanted.txt"
        "$venv/bin/python" -m pip install --quiet --no-deps -r "$venv/wanted.txt"
        printf '%s\n' "$requirements" >"$venv/installed.txt"
    fi
}
