# shellcheck shell=bash
# What every script here shares: the repository root, messages, and where things are kept.
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2

# Everything downloaded or built for running is kept here, outside version control.
# shellcheck disable=SC2034
state=.starmill

say() { printf '%s\n' "$*"; }

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Prints the path of the release binary.
release_binary() { printf '%s/release/starmill' "${CARGO_TARGET_DIR:-target}"; }

# Makes or updates a virtual environment: python_environment FOLDER REQUIREMENTS SIZE
# The pins are copied into it last, so an interrupted installation is repeated.
python_environment() {
  local folder=$1 requirements=$2 size=$3
  if cmp -s "$requirements" "$folder/pins.txt"; then
    return
  fi
  say "installing $(grep -c == "$requirements") Python packages ($size) of $requirements into $folder"
  [ -x "$folder/bin/python" ] || python3 -m venv "$folder"
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check \
    --only-binary :all: --no-deps --requirement "$requirements"
  cp "$requirements" "$folder/pins.txt"
}
