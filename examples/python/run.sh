#!/bin/sh
# A Python job that is not written for TRAILS: it only calls `trails report` and `trails result`.
cd -- "$(dirname -- "$0")" || exit
command -v python3 >/dev/null || { echo "This example needs python3 (Debian: apt-get install python3)." >&2; exit 69; }
id=$(trails run --name training -- python3 job.py)
trails tree "$id"
trails wait "$id"
