#!/bin/sh
# Runs the examples against one another on loopback: run_examples.sh FOLDER-OF-THE-PROGRAMS
set -eu
programs=$1
folder=$(mktemp -d)
server=
proxy=
door=
stop() {
    [ -z "$door" ] || kill "$door" 2>/dev/null || true
    [ -z "$proxy" ] || kill "$proxy" 2>/dev/null || true
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    wait
    rm -rf "$folder"
}
trap stop EXIT

# Waits until the file holds a line that begins with the word; prints what follows it.
port_of() {
    tries=0
    while ! grep -qs "^$2 " "$1"; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] || { echo "no line '$2' in $1" >&2; exit 1; }
        sleep 0.05
    done
    sed -n "s/^$2 //p" "$1"
}
expect() {
    echo "$2" | grep -qF "$1" || { echo "'$1' is missing in: $2" >&2; exit 1; }
}

"$programs/example_server" >"$folder/server" &
server=$!
http=$(port_of "$folder/server" ncacn_http)
tcp=$(port_of "$folder/server" ncacn_ip_tcp)
"$programs/example_proxy" "127.0.0.1:$http" >"$folder/proxy" 2>"$folder/proxy.log" &
proxy=$!
port=$(port_of "$folder/proxy" listening)

through="ncacn_http:127.0.0.1[$http,RpcProxy=127.0.0.1:$port,HttpUseTls=false]"
for binding in "ncacn_ip_tcp:127.0.0.1[$tcp]" "$through"; do
    said=$(timeout 30 "$programs/example_client" "$binding" Ada)
    expect "40 + 2 = 42" "$said"
    expect "hello, Ada" "$said"
done
expect "40 + 2 = 42" "$(timeout 30 "$programs/example_own_loop" "$port" "$http")"
said=$(timeout 30 "$programs/example_context_handles")
expect "40 41" "$said"
expect "a counter is gone" "$said"

# Who has the password calls sealed; nobody else, and nobody with less protection.
said=$(timeout 30 "$programs/example_secure_calls" 2>"$folder/secure.log")
expect "alice calls by NTLM at level privacy" "$said"
expect "hello, alice" "$said"
[ "$(echo "$said" | grep -c "^refused: .*access denied")" = 3 ] || { echo "not refused: $said" >&2; exit 1; }
expect "unknown user or wrong password, alice" "$(cat "$folder/secure.log")"
expect "at level integrity was refused, privacy is demanded" "$(cat "$folder/secure.log")"

said=$(timeout 30 "$programs/example_own_security")
expect "altered: a protected PDU was altered" "$said"
expect "partner calls by shared key" "$said"
[ "$(echo "$said" | grep -cF "40 + 2 = 42")" = 1 ] || { echo "not one answer: $said" >&2; exit 1; }
expect "RPC security, TCP connection" "$said"
expect "name or password is malformed or wrong" "$said"
expect "level or mechanism that is not offered here" "$said"

said=$(timeout 30 "$programs/example_many_users")
[ "$said" = "hello, alice
hello, bob
hello, web
hello, alice" ] || { echo "not the users of the calls: $said" >&2; exit 1; }

said=$(timeout 30 "$programs/example_own_policies")
expect "unknown user or wrong password, mallory" "$said"
expect "mallory: HTTP server" "$said"
expect "bob stops the server: refused" "$said"
expect "event: mgmt: 127.0.0.1 stops the server" "$said"
expect "alice stops the server: done" "$said"

# An empty name is refused by the server's handler, another target by the proxy.
said=$(timeout 30 "$programs/example_client" "$through" "" 2>&1) && exit 1
expect "RPC server (fault)" "$said"
elsewhere="ncacn_http:127.0.0.1[1,RpcProxy=127.0.0.1:$port,HttpUseTls=false]"
said=$(timeout 30 "$programs/example_client" "$elsewhere" Ada 2>&1) && exit 1
expect "ValidPorts" "$said"

# The same service by a front door of its own.
"$programs/example_front_door" >"$folder/door" 2>"$folder/door.log" &
door=$!
port=$(port_of "$folder/door" listening)
direct="ncacn_http:greeter[1,RpcProxy=127.0.0.1:$port,HttpUseTls=false]"
said=$(timeout 30 "$programs/example_client" "$direct" Ada)
expect "40 + 2 = 42" "$said"
expect "hello, Ada" "$said"

kill "$proxy" "$server" "$door"
wait "$proxy" && wait "$server" && wait "$door" # all end well
server=
proxy=
door=
