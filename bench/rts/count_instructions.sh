#!/bin/sh
# Prints the instructions of decoding and encoding one PDU, counted by callgrind at -O2. The counts do not
# move with the load of the machine; a change that makes one exceed its goal fails.
#
# usage: bench/rts/count_instructions.sh        CXX chooses the compiler
#
# Another codec is added by a folder that has an instructions.cpp with functions in namespace probe, and a
# line below: `count <folder> <function> <goal or -> <what>`.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rounds=1000
failed=0

build() { # folder
    [ -x "$work/$1" ] || ${CXX:-c++} -std=c++20 -O2 -g -I"$root/include" -o "$work/$1" \
        "$root/bench/$1/instructions.cpp"
}

count() { # folder probe goal what
    build "$1"
    log="$work/$2.log"
    if ! valgrind --tool=callgrind --collect-atstart=no --toggle-collect="probe::$2(*" \
        --callgrind-out-file=/dev/null "$work/$1" "$rounds" >"$log" 2>&1; then
        cat "$log" >&2
        exit 1
    fi
    total=$(sed -n 's/.*Collected *: *\([0-9][0-9]*\).*/\1/p' "$log")
    each=$((total / rounds))
    verdict=
    if [ "$3" != - ]; then
        verdict="goal $3"
        if [ "$each" -gt "$3" ]; then
            verdict="$verdict: exceeded"
            failed=1
        fi
    fi
    printf '%-46s %5d  %s\n' "$4" "$each" "$verdict"
}

echo "instructions per PDU"
count rts decode_conn_b1          330 "decode CONN/B1"
count rts decode_then_get_conn_b1 330 "  in two steps, as the machines do"
count rts decode_ack              190 "decode FlowControlAckWithDestination"
count rts decode_then_get_ack     190 "  in two steps, as the machines do"
count rts encode_conn_b1          -   "encode CONN/B1"
count rts encode_ack              -   "encode FlowControlAckWithDestination"
if [ -f "$root/bench/dcerpc/instructions.cpp" ]; then
    count dcerpc decode_request 90 "decode request header"
    count dcerpc encode_request -  "encode request header"
fi
exit $failed
