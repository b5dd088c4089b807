#!/usr/bin/env python3
"""Puts one deliberate fault after the other into the channel machines and has the simulator find it.

usage: mutate.py [--seeds N] [--jobs N] [--compiler CXX] [NAME...]
       mutate.py --check

Each fault replaces a text of include/rpch/channel that must be there exactly once; the simulator is compiled against
the changed copy and runs seeds until one fails. Prints a line for each fault, with the seed that found it, and the table
for tests/sim/README.md at the end. Exit 0 if every fault was found. A fault whose text the code does not have (any more)
ends the whole with exit 2, before anything runs; --check does no more than that.
"""
import argparse
import concurrent.futures
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLIENT, INBOUND, OUTBOUND, SERVER = (f"impl/{n}.ipp" for n in ("client", "inbound_proxy", "outbound_proxy", "server"))

# name, file below include/rpch/channel, text, what stands there instead
FAULTS = [
    # The client.
    ("client: IN_R*/A5 is forgotten", CLIENT,
     "    out.push_back(action::send{leg::in_http,\n                               rts::encode(rts::in_r1_a5{.successor_channel = *in_successor_})});\n", ""),
    ("client: switches IN before A5 is sent", CLIENT,
     "action::send{leg::in_http,\n                               rts::encode(rts::in_r1_a5{.successor_channel = *in_successor_})});\n    out.push_back(action::promote{leg::in_http});",
     "action::promote{leg::in_http});\n    out.push_back(action::send{leg::in_http, rts::encode(rts::in_r1_a5{.successor_channel = *in_successor_})});"),
    ("client: does not switch IN", CLIENT, "    out.push_back(action::promote{leg::in_http});\n", ""),
    ("client: goes on with the window of the predecessor", CLIENT, "    sending_ = send_window(window);\n", "    static_cast<void>(window);\n"),
    ("client: counts the lifetime of the predecessor on", CLIENT, "    lifetime_ = in_successor_lifetime_;\n", ""),
    ("client: gives a successor twice its lifetime", CLIENT, "    lifetime_ = in_successor_lifetime_;\n",
     "    lifetime_ = channel::lifetime(2 * in_successor_lifetime_.left());\n"),
    ("client: acknowledgements of IN go by the old cookie", CLIENT, "    in_channel_ = *in_successor_;\n", ""),
    ("client: RTS PDUs that waited for the IN successor are lost", CLIENT,
     "    for (const held_rts::entry& each : held_.take())\n        if (const auto failure = send_on_in(each.kind, each.pdu, now, out)) return failure;\n    out.push_back(action::sendable{});\n",
     "    held_.take();\n    out.push_back(action::sendable{});\n"),
    ("client: RTS PDUs take the room of A5", CLIENT, "take_beyond(reserve, pdu.size())", "take_beyond(reserve - in_handover_bytes, pdu.size())"),
    ("client: the upper layer is not told that it may send again", CLIENT,
     "return failure;\n    out.push_back(action::sendable{});\n    return {};\n}\n\nRPCH_DECL std::error_code client::open_out_successor",
     "return failure;\n    return {};\n}\n\nRPCH_DECL std::error_code client::open_out_successor"),
    ("client: OUT_R*/A2 opens no successor", CLIENT,
     "    if (!out_request_waits_) out.push_back(action::open{leg::successor_out_http});\n", ""),
    ("client: OUT_R1/A7 is forgotten", CLIENT,
     "    const rts::out_r1_a7 a7{.successor_channel = *out_successor_};\n    return send_on_in(a7.kind, rts::encode(a7), now, out, draining_reserve() + draining_ping_bytes);\n",
     "    static_cast<void>(now);\n    static_cast<void>(out);\n    return {};\n"),
    ("client: OUT_R2/A7 is forgotten", CLIENT,
     "    if (const auto failure = send_on_in(a7.kind, rts::encode(a7), now, out,\n                                        draining_reserve() + draining_ping_bytes))\n        return failure;\n    out.push_back(action::send{leg::successor_out_http, rts::encode(rts::out_r2_c1{})});\n",
     "    static_cast<void>(now);\n    static_cast<void>(a7);\n    out.push_back(action::send{leg::successor_out_http, rts::encode(rts::out_r2_c1{})});\n"),
    ("client: OUT_R2/C1 is forgotten", CLIENT, "    out.push_back(action::send{leg::successor_out_http, rts::encode(rts::out_r2_c1{})});\n", ""),
    ("client: OUT_R1/A11 is forgotten", CLIENT, "    out.push_back(action::send{leg::out_http, rts::encode(rts::out_r1_a11{})});\n", ""),
    ("client: does not switch OUT", CLIENT, "    out.push_back(action::promote{leg::out_http});\n", ""),
    ("client: counts the OUT predecessor's bytes on", CLIENT, "    predecessor_held_ += received_.renew();\n", ""),
    ("client: acknowledges OUT under the old cookie", CLIENT, "    out_channel_ = *out_successor_;\n", ""),
    ("client: reads the OUT_R2 successor before B3", CLIENT, "return from != leg::successor_out_http || out_ != out_state::b3w;", "return true;"),
    ("client: a replacement of OUT does not wait for held bytes", CLIENT, "    out_request_waits_ = predecessor_held_ != 0;\n", "    out_request_waits_ = false;\n"),
    # The inbound proxy.
    ("inbound proxy: IN_R1/A6 is forgotten", INBOUND,
     "    out.push_back(\n        action::send{leg::in_tcp, rts::encode(rts::in_r1_a6{.successor_channel = successor})});\n", "    static_cast<void>(successor);\n"),
    ("inbound proxy: IN_R1/B1 does not wait for the queue", INBOUND, "    if (sending_.queued_bytes() != 0) return {};\n    out.push_back(action::send{leg::in_tcp, rts::encode(rts::in_r1_b1{})});\n",
     "    out.push_back(action::send{leg::in_tcp, rts::encode(rts::in_r1_b1{})});\n"),
    ("inbound proxy: IN_R1/B1 is forgotten", INBOUND, "    out.push_back(action::send{leg::in_tcp, rts::encode(rts::in_r1_b1{})});\n", ""),
    ("inbound proxy: draining never ends", INBOUND, "return state_ == state::draining ? end_if_drained(out) : std::error_code{};", "return {};"),
    ("inbound proxy: IN_R1 successor is not plugged", INBOUND, "    takeover_ = rts::get<rts::in_r1_a1>(in);\n",
     "    takeover_ = rts::get<rts::in_r1_a1>(in);\n    sending_.set_peer_window(65536);\n    if (const auto failure = sending_.unplug(out)) return failure;\n"),
    ("inbound proxy: IN_R1/A2 is forgotten", INBOUND,
     "        out.push_back(action::send{\n            leg::in_tcp,\n            rts::encode(rts::in_r1_a2{.version", "        static_cast<void>(action::send{\n            leg::in_tcp,\n            rts::encode(rts::in_r1_a2{.version"),
    ("inbound proxy: IN_R2/A2 is forgotten", INBOUND,
     "    out.push_back(action::send{\n        leg::in_tcp, rts::encode(rts::in_r2_a2{.successor_channel = a1.successor_channel})});\n", "    static_cast<void>(out);\n"),
    ("inbound proxy: reads the IN_R2 successor before A5", INBOUND, "return from != leg::successor_in_http || state_ == state::opened;", "return true;"),
    ("inbound proxy: does not switch (IN_R2)", INBOUND, "    out.push_back(action::promote{leg::in_http});\n", ""),
    ("inbound proxy: acknowledges under the old cookie (IN_R2)", INBOUND, "    std::swap(in_channel_, other_channel_);\n", ""),
    ("inbound proxy: counts the predecessor's bytes on (IN_R2)", INBOUND, "    predecessor_held_ += received_.renew();\n", ""),
    ("inbound proxy: forgets what it holds of the predecessor (IN_R2)", INBOUND, "    predecessor_held_ += received_.renew();\n", "    received_.renew();\n"),
    ("inbound proxy: does not wait for held bytes of the predecessor (IN_R2)", INBOUND, "    if (predecessor_held_ != 0) return errc::replacement_pending;\n", ""),
    ("inbound proxy: drops acknowledgements under another cookie (IN_R2)", INBOUND,
     "    if (only_one && ack.channel_cookie != in_channel_) return {};\n", "    if (ack.channel_cookie != in_channel_) return {};\n    static_cast<void>(only_one);\n"),
    ("inbound proxy: the end of IN-H while draining is the end", INBOUND, "    if (which == leg::in_http && state_ == state::draining) return {};\n", ""),
    # The outbound proxy.
    ("outbound proxy: the last PDU does not wait for the queue", OUTBOUND, "    if (!is_draining() || sending_.queued_bytes() != 0 || sending_.unwritten() != 0) return {};\n", "    if (!is_draining()) return {};\n"),
    ("outbound proxy: OUT_R1/A10 and OUT_R2/B3 are forgotten", OUTBOUND, "    if (const auto failure = send_to_client(kind, last, now, out)) return failure;\n    if (elsewhere) {",
     "    static_cast<void>(now);\n    static_cast<void>(kind);\n    static_cast<void>(last);\n    if (elsewhere) {"),
    ("outbound proxy: acknowledgements are dropped while it drains", OUTBOUND, "    if (ack.channel_cookie != out_channel_) return {}; // foreign", "    if (ack.channel_cookie != out_channel_ || is_draining()) return {}; // foreign"),
    ("outbound proxy: draining does not end when nothing was left", OUTBOUND, "    return end_if_drained(now, out);\n}\n\n/// 3.2.4.5.8", "    static_cast<void>(out);\n    return {};\n}\n\n/// 3.2.4.5.8"),
    ("outbound proxy: draining has no deadline", OUTBOUND, "    deadlines_.set(wait::replacement, now + settings_.replacement_wait);\n    return end_if_drained", "    return end_if_drained"),
    ("outbound proxy: does not switch (OUT_R2)", OUTBOUND, "    out.push_back(action::promote{leg::out_http});\n", ""),
    ("outbound proxy: does not wait for the socket before it switches", OUTBOUND, "    if (!is_draining() || sending_.queued_bytes() != 0 || sending_.unwritten() != 0) return {};\n", "    if (!is_draining() || sending_.queued_bytes() != 0) return {};\n"),
    ("outbound proxy: draining does not end when all is written", OUTBOUND, "    if (const auto failure = end_if_drained(now, out)) return end(failure, leg::out_http, out);\n    return {};\n", "    static_cast<void>(now);\n    return {};\n"),
    ("outbound proxy: PDUs after B1 go to the predecessor (OUT_R2)", OUTBOUND, "return state_ == state::draining || state_ == state::draining_c1w ? next_ : sending_;", "return sending_;"),
    ("outbound proxy: the head does not wait for C1 (OUT_R2)", OUTBOUND, "    const bool has_c1 = state_ == state::draining;\n", "    const bool has_c1 = true;\n"),
    ("outbound proxy: OUT_R2/A4 is forgotten", OUTBOUND,
     "    out.push_back(\n        action::send{leg::out_tcp, rts::encode(rts::out_r2_a4{.successor_channel = successor_})});\n", "    static_cast<void>(out);\n"),
    ("outbound proxy: takes the predecessor's acknowledgements for the successor's (OUT_R2)", OUTBOUND, "    out_channel_ = successor_;\n", ""),
    ("outbound proxy: gives the OUT_R2 successor no window of its own", OUTBOUND, "    next_.set_peer_window(a3.receive_window_size);\n", ""),
    ("outbound proxy: no response head behind OUT_R1/A11", OUTBOUND, "    const auto failure = respond(now, out);\n    watch_queue(now);\n    return failure;\n}\n\nRPCH_DECL std::error_code outbound_proxy::begin_r2",
     "    const auto failure = sending_.unplug(out);\n    watch_queue(now);\n    return failure;\n}\n\nRPCH_DECL std::error_code outbound_proxy::begin_r2"),
    ("outbound proxy: OUT_R1 successor is not plugged", OUTBOUND, "    takeover_ = rts::get<rts::out_r1_a3>(in);\n",
     "    takeover_ = rts::get<rts::out_r1_a3>(in);\n    if (const auto failure = sending_.unplug(out)) return failure;\n"),
    ("outbound proxy: the end of OUT-T while draining is the end (OUT_R1)", OUTBOUND, "    if (which == leg::out_tcp && state_ == state::draining_r1) return {};\n", ""),
    # The server.
    ("server: IN_R1/A3 is forgotten", SERVER, "    return send_on_out(a3.kind, rts::encode(a3), now, out);\n}\n\nRPCH_DECL std::error_code server::check_a6",
     "    static_cast<void>(a3);\n    static_cast<void>(out);\n    return {};\n}\n\nRPCH_DECL std::error_code server::check_a6"),
    ("server: IN_R2/A3 is forgotten", SERVER, "    const rts::in_r2_a3 a3{};\n    return send_on_out(a3.kind, rts::encode(a3), now, out);\n",
     "    static_cast<void>(now);\n    static_cast<void>(out);\n    return {};\n"),
    ("server: does not switch IN (IN_R1)", SERVER, "    out.push_back(action::promote{leg::in_tcp});\n", ""),
    ("server: IN_R1/B2 is forgotten", SERVER,
     "    out.push_back(action::send{\n        leg::in_tcp, rts::encode(rts::in_r1_b2{.receive_window_size = received_.size()})});\n", ""),
    ("server: B2 before the switch goes to the predecessor (IN_R1)", SERVER,
     "    out.push_back(action::promote{leg::in_tcp});\n    in_channel_ = in_successor_;\n    predecessor_held_ += received_.renew();\n    ++in_replaced_;\n    out.push_back(action::send{\n        leg::in_tcp, rts::encode(rts::in_r1_b2{.receive_window_size = received_.size()})});\n",
     "    in_channel_ = in_successor_;\n    predecessor_held_ += received_.renew();\n    ++in_replaced_;\n    out.push_back(action::send{\n        leg::in_tcp, rts::encode(rts::in_r1_b2{.receive_window_size = received_.size()})});\n    out.push_back(action::promote{leg::in_tcp});\n"),
    ("server: counts the IN predecessor's bytes on (IN_R1)", SERVER, "    predecessor_held_ += received_.renew();\n", ""),
    ("server: forgets what it holds of the IN predecessor (IN_R1)", SERVER, "    predecessor_held_ += received_.renew();\n", "    received_.renew();\n"),
    ("server: acknowledges IN under the old cookie (IN_R1)", SERVER, "    in_channel_ = in_successor_;\n", ""),
    ("server: closes a newcomer that came before B1 (IN_R1)", SERVER, "            return first.predecessor == in_successor_ ? errc::replacement_pending\n                                                      : errc::cookie_mismatch;",
     "            return errc::cookie_mismatch;"),
    ("server: OUT_R1/A5 is forgotten", SERVER, "    if (!lifetime_.take(a5.size())) return errc::lifetime_exceeded;\n    out.push_back(action::send{leg::out_tcp, a5});\n    return {};\n}\n\nRPCH_DECL std::error_code server::begin_out_r2",
     "    static_cast<void>(out);\n    return {};\n}\n\nRPCH_DECL std::error_code server::begin_out_r2"),
    ("server: OUT_R2/A5 is forgotten", SERVER, "    const rts::wire a5 = rts::encode(rts::out_r2_a5{});\n    if (!lifetime_.take(a5.size())) return errc::lifetime_exceeded;\n    out.push_back(action::send{leg::out_tcp, a5});\n",
     "    static_cast<void>(out);\n"),
    ("server: OUT_R1/A9 is forgotten", SERVER, "    out.push_back(action::send{leg::out_tcp, rts::encode(rts::out_r1_a9{})});\n", ""),
    ("server: does not switch OUT (OUT_R1)", SERVER, "    out.push_back(action::promote{leg::out_tcp, true});\n", ""),
    ("server: closes the OUT predecessor at once (OUT_R1)", SERVER, "    out.push_back(action::promote{leg::out_tcp, true});\n    predecessor_is_there_ = true;\n", "    out.push_back(action::promote{leg::out_tcp});\n"),
    ("server: acknowledgements for the OUT predecessor go to the successor (OUT_R1)", SERVER, "out.push_back(action::forward{old ? leg::predecessor_out_tcp : leg::out_tcp});", "static_cast<void>(old);\n        out.push_back(action::forward{leg::out_tcp});"),
    ("server: sends under the predecessor's window (OUT_R1)", SERVER, "    sending_ = successor_sending_;\n", ""),
    ("server: OUT_R2/B1 is forgotten", SERVER, "    out.push_back(action::send{leg::out_tcp, rts::encode(rts::out_r2_b1{})});\n", ""),
    ("server: counts the OUT lifetime on", SERVER, "    lifetime_ = channel::lifetime(fresh_lifetime_);\n    ++out_replaced_;", "    ++out_replaced_;"),
    ("server: gives an OUT successor twice its lifetime", SERVER, "    lifetime_ = channel::lifetime(fresh_lifetime_);\n    ++out_replaced_;", "    lifetime_ = channel::lifetime(2 * fresh_lifetime_);\n    ++out_replaced_;"),
    ("server: RTS PDUs that waited for the OUT successor are lost", SERVER,
     "    for (const held_rts::entry& each : held_.take())\n        if (const auto failure = send_on_out(each.kind, each.pdu, now, out)) return failure;\n", "    held_.take();\n"),
    ("server: the upper layer is not told that it may send again", SERVER, "return failure;\n    out.push_back(action::sendable{});\n    return replace_out_if_due(now, out);", "return failure;\n    return replace_out_if_due(now, out);"),
    ("server: RTS PDUs take the room that the replacement of OUT needs", SERVER, "    if (lifetime_.take_beyond(out_handover_bytes, in.bytes().size())) {", "    if (lifetime_.take(in.bytes().size())) {"),
    ("server: does not wait for held bytes of the IN predecessor", SERVER,
     "        return predecessor_held_ != 0 ? make_error_code(errc::replacement_pending)\n                                      : std::error_code{};", "        return {};"),
]


def try_fault(fault, seeds, compiler):
    name, file, old, new = fault
    with tempfile.TemporaryDirectory(prefix="rpch-mutate-") as folder:
        where = pathlib.Path(folder)
        shutil.copytree(ROOT / "include", where / "include")
        target = where / "include/rpch/channel" / file
        text = target.read_text()
        if text.count(old) != 1:
            return name, f"NOT TRIED: its text is there {text.count(old)} times"
        target.write_text(text.replace(old, new))
        unit = where / "sim.cpp"
        unit.write_text("".join(f'#include "{p}"\n' for p in sorted((ROOT / "tests/sim").glob("*.cpp"))))
        program = where / "rpch-sim"
        built = subprocess.run([compiler, "-std=c++20", "-O1", '-DRPCH_TEST_VECTORS=""', "-I", str(where / "include"), "-I", str(ROOT),
                                "-o", str(program), str(unit)], capture_output=True, text=True)
        if built.returncode != 0:
            return name, "NOT TRIED: does not compile: " + built.stderr[:400]
        try:
            ran = subprocess.run([str(program), "--seeds", str(seeds), "--failures-at-most", "1"], capture_output=True,
                                 text=True, timeout=600)
        except subprocess.TimeoutExpired:
            return name, "NOT FOUND: no end after 600 s"
        if ran.returncode == 0:
            return name, f"NOT FOUND in {seeds} seeds"
        if ran.returncode < 0:
            return name, f"found: ended by signal {-ran.returncode}"
        said = re.search(r"seed (\d+)[^\n]*", ran.stdout + ran.stderr)
        return name, "found: " + (said.group(0) if said else (ran.stdout + ran.stderr).strip().splitlines()[0])


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seeds", type=int, default=2000)
    arguments.add_argument("--jobs", type=int, default=2)
    arguments.add_argument("--compiler", default="g++")
    arguments.add_argument("--check", action="store_true", help="only look whether every fault applies to the code")
    arguments.add_argument("names", nargs="*", help="parts of names; all faults if there is none")
    given = arguments.parse_args()
    stale = [(name, (ROOT / "include/rpch/channel" / file).read_text().count(old)) for name, file, old, new in FAULTS]
    stale = [f"{name}: its text is there {count} times" for name, count in stale if count != 1]
    if stale:
        print("\n".join(stale), file=sys.stderr)
        return 2
    if given.check:
        print(f"{len(FAULTS)} faults apply")
        return 0
    chosen = [f for f in FAULTS if not given.names or any(n in f[0] for n in given.names)]
    results = []
    with concurrent.futures.ThreadPoolExecutor(given.jobs) as pool:
        for name, result in pool.map(lambda f: try_fault(f, given.seeds, given.compiler), chosen):
            print(f"{name}: {result}", flush=True)
            results.append((name, result))
    missed = [name for name, result in results if not result.startswith("found")]
    print("\n| fault | found by |\n| --- | --- |")
    for name, result in results:
        print(f"| {name} | {result.removeprefix('found: ')} |")
    print(f"\n{len(results) - len(missed)} of {len(results)} faults found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
