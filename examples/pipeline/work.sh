echo "${TRAILS_AGENT##*/}"
exec >&2
dir=$(mktemp -d) || exit
trap 'rm -rf "$dir"' EXIT

trails run --name generate -- seq 1000 >"$dir/numbers"

trails run --name odd -- grep '[13579]$' "$dir/numbers" >"$dir/odd" &
trails run --name even -- grep '[02468]$' "$dir/numbers" >"$dir/even" &
wait

cat "$dir/odd" "$dir/even" | trails run --name sum -- sh -c '
  total=$(trails run --name add -- awk "{ sum += \$1 } END { print sum }")
  trails result "{\"total\": $total}"'

trails run --name publish -- sh -c 'echo "no such bucket: reports" >&2; exit 4'
