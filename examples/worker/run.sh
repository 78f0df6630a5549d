#!/bin/sh
# The worker beside this file, which is a node by itself, under `trails run`: the run, the worker and its tasks are one tree.
cd -- "$(dirname -- "$0")" || exit
id=$(trails run --name worker -- sh -c 'echo "${TRAILS_AGENT##*/}"; exec "$1" worker.js >&2' sh "${NODE:-node}")
trails tree "$id"
