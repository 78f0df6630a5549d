# Makes the folder of a Postgres, and removes it, with its server, when the pipe on stdin ends. Only the process that asked
# for the server holds the other end: the pipe ends with that process, however it ended.
# $1: the server's programs; $2: name of the superuser. The first line of stdin is the password.
# Prints the folder once the cluster in its "data" is made, else what went wrong.
umask 077
# The reader of what is printed here may be gone by then.
trap '' PIPE
read -r password
for parent in "${TMPDIR:-/tmp}" /tmp /var/tmp; do
  folder=$(mktemp -d "$parent/trails-postgres-XXXXXX" 2>/dev/null) && break
done
[ -n "$folder" ] || { echo "No temporary folder that this user can write to (tried TMPDIR, /tmp, /var/tmp)." && exit 1; }
data=$folder/data

printf '%s\n' "$password" >"$folder/password"
if "$1/initdb" -D "$data" -U "$2" -A scram-sha-256 --pwfile="$folder/password" -E UTF8 --no-locale --no-sync \
  >"$folder/log" 2>&1 </dev/null; then
  rm "$folder/password"
  echo "$folder"
  exec >/dev/null 2>&1
  cat
else
  cat "$folder/log"
  rm -rf "$folder"
  exit 1
fi

if pid=$(head -n 1 "$data/postmaster.pid") && kill -s 0 "$pid"; then
  # A server that was frozen could not hear the request to stop.
  for stat in /proc/[0-9]*/stat; do
    read -r child _ _ parent _ <"$stat" || continue
    if [ "$parent" = "$pid" ]; then kill -s CONT "$child"; fi
  done
  kill -s CONT "$pid"
  "$1/pg_ctl" -D "$data" stop -m fast -w -t 20 || "$1/pg_ctl" -D "$data" stop -m immediate -w -t 10
fi
# Only a server that was killed leaves this file; recovery frees the shared memory that it left behind, too.
if [ -e "$data/postmaster.pid" ]; then "$1/postgres" --single -D "$data" postgres </dev/null; fi
rm -rf "$folder"
