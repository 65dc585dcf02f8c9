# ./dev run, sourced by ./dev: server, agent and desktop app of this machine, until Ctrl-C. Leaves no process behind.

BIN=${PULSEBOARD_BIN:-$PWD/build/release/bin}  # given: nothing is installed or built (tests)
STATE=${XDG_STATE_HOME:-$HOME/.local/state}/pulseboard
RUN_DIR=$STATE/run          # logs, recorded address
SECRETS=$STATE/secrets      # password files, mode 0600
ADMIN_PASSWORD=$SECRETS/admin-password
AGENT_PASSWORD=$SECRETS/agent-password
DEFAULT_LISTEN=127.0.0.1:7443
READY_LIMIT_S=30
FIRST_PICTURE_AFTER_S=20     # of the first start: earlier, the lines have a handful of points
SCRATCH=''

child_name() { tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null | cut -d' ' -f1,2 | xargs -r basename -a | tr '\n' ' ' || true; }

# Ends the children in reverse order, each politely first; the server may take 5 s to drain.
stop_children() {
  trap '' INT TERM HUP
  trap - EXIT
  local pid tries children
  # Asked of the shell: a list of our own would miss a child started just before the signal came.
  children=$(jobs -p | tac)
  [ -z "$children" ] || { echo; step "Stopping"; }
  for pid in $children; do
    kill -0 "$pid" 2>/dev/null || continue
    note "$(child_name "$pid")"
    kill -TERM "$pid" 2>/dev/null || true
    for ((tries = 0; tries < 80; tries++)); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  [ -z "$SCRATCH" ] || rm -rf "$SCRATCH"
}

# True when a pulseboardd that knows our admin answers at HOST:PORT.
answers() { [ -f "$ADMIN_PASSWORD" ] && timeout 5 "$BIN/pulseboardd" user list --server "$1" --user admin \
  --password-file "$ADMIN_PASSWORD" >/dev/null 2>&1; }

port_taken() { (exec 3<>"/dev/tcp/${1%:*}/${1##*:}") 2>/dev/null; }

# Sets LISTEN. Returns 1 when a server of ours runs already and is used as it is.
start_server() {
  local recorded
  recorded=$(cat "$RUN_DIR/listen" 2>/dev/null || true)
  for LISTEN in $recorded $DEFAULT_LISTEN; do
    if port_taken "$LISTEN" && answers "$LISTEN"; then
      step "A server of yours runs on $LISTEN already: using it"
      return 1
    fi
  done
  LISTEN=$DEFAULT_LISTEN
  if port_taken "$LISTEN"; then
    note "$LISTEN is taken by another program: taking a free port"
    LISTEN=127.0.0.1:0
  fi
  [ -f "$ADMIN_PASSWORD" ] || FIRST_START=1
  step "Starting pulseboardd on $STATE/data"
  : >"$RUN_DIR/ready"  # the server's shell may be slower than the first look below
  "$BIN/pulseboardd" serve --data "$STATE/data" --listen "$LISTEN" --admin-password-file "$ADMIN_PASSWORD" \
    >"$RUN_DIR/ready" 2>"$RUN_DIR/server.log" &
  SERVER_PID=$!
  local tries ready=''
  for ((tries = 0; tries < READY_LIMIT_S * 20; tries++)); do
    ready=$(sed -n 's/^pulseboardd ready listen=\([^ ]*\).*/\1/p' "$RUN_DIR/ready")
    [ -z "$ready" ] || break
    kill -0 "$SERVER_PID" 2>/dev/null || break
    sleep 0.05
  done
  if [ -z "$ready" ]; then
    tail -n 20 "$RUN_DIR/server.log" >&2
    die "the server did not start; its log is $RUN_DIR/server.log"
  fi
  LISTEN=$ready
  printf '%s\n' "$LISTEN" >"$RUN_DIR/listen"
  note "ready on $LISTEN (plaintext, this machine only); log: $RUN_DIR/server.log"
  if [ "$FIRST_START" = 1 ]; then
    note "user: ${BOLD}admin${RESET}   password, shown this once: ${BOLD}$(head -n1 "$ADMIN_PASSWORD")${RESET}"
    note "(kept for ./dev run in $ADMIN_PASSWORD, readable by you only)"
  fi
}

start_agent() {
  if [ ! -f "$AGENT_PASSWORD" ]; then
    (umask 077; head -c 24 /dev/urandom | base64 | tr -d '\n=' >"$AGENT_PASSWORD.new")
    # The account may be there from a start that was cut short: then it gets the new password.
    if ! "$BIN/pulseboardd" user create --server "$LISTEN" --user admin --password-file "$ADMIN_PASSWORD" \
      --name agent --role ingest --new-password-file "$AGENT_PASSWORD.new" >>"$RUN_DIR/user.log" 2>&1; then
      "$BIN/pulseboardd" user password --server "$LISTEN" --user admin --password-file "$ADMIN_PASSWORD" \
        --name agent --new-password-file "$AGENT_PASSWORD.new" >>"$RUN_DIR/user.log" 2>&1 ||
        { cat "$RUN_DIR/user.log" >&2; die "could not create the agent's account"; }
    fi
    mv "$AGENT_PASSWORD.new" "$AGENT_PASSWORD"
  fi
  step "Feeding in this machine's metrics every second (account: agent, role INGEST)"
  "$BIN/pulseboardd" agent --server "$LISTEN" --user agent --password-file "$AGENT_PASSWORD" --interval 1s \
    --pins "$STATE/agent-pins" >"$RUN_DIR/agent.log" 2>&1 &
  AGENT_PID=$!
}

start_display() {  # sets DISPLAY to an Xvfb of our own
  SCRATCH=$(mktemp -d)
  Xvfb -displayfd 3 -screen 0 1600x1000x24 -nolisten tcp 3>"$SCRATCH/display" 2>"$SCRATCH/xvfb.log" &
  local tries
  for ((tries = 0; tries < 100; tries++)); do
    [ ! -s "$SCRATCH/display" ] || break
    sleep 0.1
  done
  [ -s "$SCRATCH/display" ] || { cat "$SCRATCH/xvfb.log" >&2; die "Xvfb did not start"; }
  DISPLAY=:$(head -n1 "$SCRATCH/display")
  export DISPLAY QT_QPA_PLATFORM=xcb
}

start_desktop() {
  local -a login=(--server "$LISTEN" --user admin --password-file "$ADMIN_PASSWORD")
  if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
    step "Opening the desktop app"
    "$BIN/pulseboard" "${login[@]}" >"$RUN_DIR/desktop.log" 2>&1 &
    DESKTOP_PID=$!
    return
  fi
  local after=0
  [ "$FIRST_START" = 0 ] || after=$FIRST_PICTURE_AFTER_S
  step "No display: drawing the desktop app on an own Xvfb until data moves$([ $after = 0 ] || echo " for $after s")"
  start_display
  "$BIN/pulseboard" "${login[@]}" --screenshot "$PWD/pulseboard.png" --screenshot-when-moving --screenshot-after "$after" \
    >"$RUN_DIR/desktop.log" 2>&1 &
  local app=$!
  if wait "$app"; then
    note "picture: ${BOLD}$PWD/pulseboard.png${RESET}"
  else
    tail -n 20 "$RUN_DIR/desktop.log" >&2
    die "the desktop app drew no moving data; its log is $RUN_DIR/desktop.log"
  fi
}

show_calls() {
  local selector='system.cpu.usage{cpu=\"all\"}'
  cat <<EOF

${BOLD}Try with grpcurl${RESET} (one line each; TOKEN comes from the first):
  TOKEN=\$(grpcurl -plaintext -d "{\"login\":\"admin\",\"password\":\"\$(cat $ADMIN_PASSWORD)\"}" $LISTEN pulseboard.v1.AuthService/Login | sed -n 's/.*"accessToken": *"\([^"]*\)".*/\1/p')
  grpcurl -plaintext $LISTEN list
  grpcurl -plaintext -H "authorization: Bearer \$TOKEN" -d '{"samples":[{"metric":"demo.temperature","labels":{"room":"kitchen"},"value":21.5}]}' $LISTEN pulseboard.v1.IngestService/Push
  grpcurl -plaintext -H "authorization: Bearer \$TOKEN" -d '{"selector":"demo.temperature"}' $LISTEN pulseboard.v1.QueryService/QueryLatest
  grpcurl -plaintext -H "authorization: Bearer \$TOKEN" -d '{"queries":[{"selector":"$selector","backfill":"10s"}]}' $LISTEN pulseboard.v1.LiveService/Subscribe
${BOLD}or with buf${RESET} (npm install @bufbuild/buf, or build/tools/node_modules/.bin/buf after ./dev test):
  TOKEN=\$(buf curl --protocol grpc --http2-prior-knowledge -d "{\"login\":\"admin\",\"password\":\"\$(cat $ADMIN_PASSWORD)\"}" http://$LISTEN/pulseboard.v1.AuthService/Login | sed -n 's/.*"accessToken": *"\([^"]*\)".*/\1/p')
  buf curl --protocol grpc --http2-prior-knowledge --list-methods http://$LISTEN
  buf curl --protocol grpc --http2-prior-knowledge -H "authorization: Bearer \$TOKEN" -d '{"samples":[{"metric":"demo.temperature","labels":{"room":"kitchen"},"value":21.5}]}' http://$LISTEN/pulseboard.v1.IngestService/Push
  buf curl --protocol grpc --http2-prior-knowledge -H "authorization: Bearer \$TOKEN" -d '{"selector":"demo.temperature"}' http://$LISTEN/pulseboard.v1.QueryService/QueryLatest
  buf curl --protocol grpc --http2-prior-knowledge -H "authorization: Bearer \$TOKEN" -d '{"queries":[{"selector":"$selector","backfill":"10s"}]}' http://$LISTEN/pulseboard.v1.LiveService/Subscribe

EOF
}

# Returns when one of server and agent ends; Ctrl-C arrives as a trap.
watch_children() {
  local pid
  while true; do
    for pid in $SERVER_PID $AGENT_PID; do
      kill -0 "$pid" 2>/dev/null && continue
      tail -n 20 "$RUN_DIR/server.log" "$RUN_DIR/agent.log" >&2 || true
      die "$([ "$pid" = "$SERVER_PID" ] && echo server || echo agent) ended by itself; logs: $RUN_DIR"
    done
    sleep 1 &
    wait $! || true
  done
}

cmd_run() {
  [ -n "${PULSEBOARD_BIN:-}" ] || cmd_build
  umask 077
  mkdir -p "$STATE" "$RUN_DIR" "$SECRETS"
  trap 'stop_children; exit 130' INT
  trap 'stop_children; exit 143' TERM HUP
  trap stop_children EXIT
  SERVER_PID='' AGENT_PID='' DESKTOP_PID='' FIRST_START=0
  if start_server; then
    start_agent
    start_desktop
    show_calls
    step "Running until Ctrl-C"
    watch_children
  else
    # Another ./dev run feeds that server; a second agent would write the same series twice.
    start_desktop
    show_calls
    [ -z "$DESKTOP_PID" ] || wait "$DESKTOP_PID"
  fi
}
