# shellcheck shell=bash
# Replicas as processes of this machine, on loopback ports from BASE_PORT on. $STATE holds the binaries
# (releases/VERSION), a file with the process id of each replica, and their logs.

check() {
  [ -n "${BASE_PORT:-}" ] || fail 2 "BASE_PORT is not set"
  [ -n "${BOTARMY_STORE__URL:-}" ] ||
    fail 2 "BOTARMY_STORE__URL is not set; replicas need a PostgreSQL database they can share"
  export BOTARMY_STORE__DATA_DIR=${BOTARMY_STORE__DATA_DIR:-$STATE/data}
}

# A release is a copy, so that the next build does not change a running replica.
prepare() {
  local release=$STATE/releases/$1
  [ -n "${BINARY:-}" ] || fail 2 "BINARY is not set"
  eval "${BUILD:-true}" && mkdir -p "$release" &&
    # The file of a running program cannot be written to, but it can be replaced.
    install -m 755 "$BINARY" "$release/new" && mv -f "$release/new" "$release/botarmy-server"
}

migrate() { "$STATE/releases/$1/botarmy-server" migrate; }
accepts() { "$STATE/releases/$1/botarmy-server" migrate --status >/dev/null; }

start_replica() {
  local port=$((BASE_PORT + $1 - 1)) pid
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    say "something else listens on port $port"
    return 1
  fi
  # A session of its own, so that Ctrl-C in this terminal does not reach the replica.
  BOTARMY_HTTP__PORT=$port setsid "$STATE/releases/$2/botarmy-server" serve \
    >>"$STATE/replica-$1.log" 2>&1 </dev/null 9>&- &
  pid=$!
  echo "$pid $(born "$pid")" >"$STATE/replica-$1.pid"
}

stop_replica() {
  local pid until=$((SECONDS + ${STOP_TIMEOUT_S:-20}))
  pid=$(pid_of "$1") || return 0
  kill -TERM "$pid" 2>/dev/null || true
  while pid_of "$1" >/dev/null; do
    if ((SECONDS >= until)); then
      say "replica $1 does not end; killing it"
      kill -KILL "$pid" 2>/dev/null || true
    fi
    sleep 0.1
  done
  rm -f "$STATE/replica-$1.pid"
}

alive() { pid_of "$1" >/dev/null; }

# A certificate is for the name that clients use, which is not this one.
ready() {
  alive "$1" && curl --silent --fail --insecure --noproxy '*' --max-time 3 --output /dev/null \
    "http${BOTARMY_HTTP__TLS_CERT:+s}://127.0.0.1:$((BASE_PORT + $1 - 1))/readyz"
}

# Prints the process id of a replica. An id alone may belong to another process by now; an id and a start
# time do not.
pid_of() {
  local pid time
  { read -r pid time <"$STATE/replica-$1.pid"; } 2>/dev/null || return 1
  # A process that ended before its start time was read has none.
  [ -n "$time" ] && [ "$(born "$pid")" = "$time" ] && echo "$pid"
}

# Prints the start time of a process, in ticks since the machine started; nothing if the process has
# ended. See proc(5).
born() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
  # The name in brackets may hold anything; the state comes after it.
  read -ra stat <<<"${stat##*) }"
  [[ ${stat[0]} == [ZX] ]] || echo "${stat[19]}"
}
