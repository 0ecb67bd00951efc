#!/bin/sh
# What a GPU gives, in ten minutes: is it right, how fast, in how much memory. Writes a page of Markdown.
#
#     benchmarks/gpu.sh [--out gpu.md] [--minutes 10]       on a machine with a GPU
#     benchmarks/gpu.sh --toy                               the same at toy size, on a CPU too
#
# Exit code 1 where a part failed or had no time; the page says which, and the rest is in it.
cd "$(dirname "$0")/.." || exit 2
PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" exec "${PYTHON:-python}" benchmarks/gpu.py "$@"
