#!/bin/sh
# What an npm script needs before it runs: the locked packages, Node 24 among them. Works under the Node that the machine
# happens to have, does nothing when all is there. --dev: the tools for the tests as well.
set -eu
cd -- "$(dirname -- "$0")/.."
PATH=$PWD/node_modules/.bin:$PATH

# npm writes this file last: where an install was killed, it is missing.
stamp=node_modules/.package-lock.json

complete() {
  [ -e "$stamp" ] || return 1
  [ -z "$(find package-lock.json -newer "$stamp")" ] || return 1
  [ "${1-}" != --dev ] || [ -e node_modules/.bin/vitest ]
}

if ! complete "$@"; then
  echo "Installing the locked packages (npm ci) ..." >&2
  if [ "${1-}" = --dev ]; then npm ci --include=dev >&2; else npm ci >&2; fi
fi

version=$(node --version 2>/dev/null || echo none)
case $version in
v2[4-9].* | v[3-9][0-9].*) ;;
*)
  echo "This needs Node 24 or newer, found $version. On Linux x64 and arm64 the package node-linux-* brings one along;" >&2
  echo "npm skips it when optional packages are switched off (omit=optional). Else install Node 24." >&2
  exit 69
  ;;
esac

# Sources are right without it, and slower: what hinders it must not keep the rest from running.
[ ! -e node_modules/rolldown ] || node scripts/bundleRun.mjs >&2 || true
