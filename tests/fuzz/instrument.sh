#!/bin/sh
# Stands between cargo and rustc (RUSTC_WRAPPER) and adds coverage counters to Starmill's own crates
# alone: the dependencies stay those of every other build, and the fuzzer is led by our branches.
rustc=$1
shift
case " $* " in
  *" --crate-name starmill "* | *" --crate-name starmill_onnx "* | *" --crate-name starmill_fuzz "*)
    exec "$rustc" "$@" --cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module \
      -Cllvm-args=-sanitizer-coverage-level=4 \
      -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
      -Cllvm-args=-sanitizer-coverage-pc-table \
      -Cllvm-args=-sanitizer-coverage-trace-compares
    ;;
esac
exec "$rustc" "$@"
