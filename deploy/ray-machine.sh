#!/usr/bin/env bash
# One machine of a Ray cluster, until it is ended:
#     deploy/ray-machine.sh head             on the machine where `deepmark` is called; it works on no pieces itself
#     deploy/ray-machine.sh HEAD_ADDRESS     on every other machine
#
# All machines need the same release of DeepMark (`pip install -c constraints.txt '.[cluster]'`), the same token, and the
# workspace under the same path. Set ENVIRONMENT to activate a virtual environment, RAY_NODE_IP to choose between
# networks, and RAY_TEMP for Ray's files: a path of at most 60 characters, because the names of its sockets are limited.
set -euo pipefail

if [[ $# -lt 1 ]]; then
    echo "usage: $0 head | HEAD_ADDRESS [options of ray start]" >&2
    exit 2
fi
if [[ -n "${ENVIRONMENT:-}" ]]; then
    source "$ENVIRONMENT/bin/activate"
fi
source "$(dirname "${BASH_SOURCE[0]}")/ray.env"

place="$1" port="${RAY_PORT:-6379}"
shift
own=()
[[ -n "${RAY_NODE_IP:-}" ]] && own+=("--node-ip-address=$RAY_NODE_IP")
[[ -n "${RAY_TEMP:-}" ]] && own+=("--temp-dir=$RAY_TEMP")
if [[ "$place" == head ]]; then
    exec ray start --block --head --port="$port" --num-cpus=0 --num-gpus=0 --include-dashboard=false "${own[@]}" "$@"
fi
exec ray start --block --address="$place:$port" "${own[@]}" "$@"
