#!/bin/sh
# `make -j` of a small C project whose recipes are runs: each compilation is a node, a failed one has the compiler's words.
cd -- "$(dirname -- "$0")" || exit
for tool in make cc; do
  command -v $tool >/dev/null || { echo "This example needs $tool (Debian: apt-get install gcc make)." >&2; exit 69; }
done
dir=$(mktemp -d) || exit
trap 'rm -rf "$dir"' EXIT
cp -r Makefile *.c *.h count "$dir"
id=$(cd "$dir" && trails run --name build -- sh -c 'echo "${TRAILS_AGENT##*/}"; exec make -j4 --keep-going all broken >&2')
trails tree "$id"
"$dir/hello"
