# What the scripts of this folder download, by version and SHA-256. Sourced, never run.
# shellcheck shell=bash disable=SC2034

# ONNX Runtime for the CPU: PyPI wheel for CPython 3.11, manylinux_2_28_x86_64.
ONNXRUNTIME_VERSION=1.31.1
ONNXRUNTIME_WHEEL_SHA256=5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f
ONNXRUNTIME_LIBRARY_SHA256=fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3

# The same for NVIDIA GPUs; it wants the driver, CUDA 13 and cuDNN 9 on the machine.
ONNXRUNTIME_GPU_VERSION=1.31.1
ONNXRUNTIME_GPU_WHEEL_SHA256=e26c475fe361b2015f45b4b824bd13f0bb20204e59b62814e6f0acd5f3d491a6
