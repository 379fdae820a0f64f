#!/bin/sh
# Run in the build of an image: removes from a virtual environment, its argument, what no model
# needs, and compiles the rest, since the image may run read-only.
set -eu
cd "$1"/lib/python3.*/site-packages

# Tests, and programs and headers to build C++ with: there is no compiler.
find . -type d \( -name tests -o -path '*/nvidia/*/include' \) -prune -exec rm -r {} +
find . -name '*.a' -delete
find numpy -name '*.pyi' -delete
rm -rf torch/include torch/test torch/lib/*test*.so numpy/_core/include numpy/distutils
if [ -d torch/bin ]; then find torch/bin -type f ! -name torch_shm_manager -delete; fi
# These convert models, with libraries that are not here.
rm -rf onnxruntime/datasets onnxruntime/quantization onnxruntime/tools onnxruntime/transformers

# Triton compiles kernels for GPUs with a C compiler. torch does without, as it does on Windows.
rm -rf triton triton-*.dist-info

# Of CUDA, what neither torch nor ONNX Runtime names: cuSOLVER for several GPUs, a second NVRTC,
# what CUPTI loads to read a GPU's counters, and NVSHMEM for compilers.
find . -path './nvidia/*' \( -name 'libcusolverMg.*' -o -name 'libnvrtc*.alt.*' \
    -o -name 'libnvperf_*' -o -name libpcsamplingutil.so -o -name libcheckpoint.so \
    -o -name libnvshmem_device.bc \) -delete

# pip runs seldom, and takes twice the space with its bytecode, some of which it has written by now.
# torch/testing has files that need a newer Python.
find pip -name __pycache__ -prune -exec rm -r {} +
"$1/bin/python" -m compileall -q -j 0 -x '/(torch/testing|pip)/' .
