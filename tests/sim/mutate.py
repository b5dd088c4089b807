#!/usr/bin/env python3
"""Puts one deliberate fault after the other into the channel machines and has the simulator find it.

usage: mutate.py [--seeds N] [--jobs N] [--compiler CXX] [NAME...]
       mutate.py --check

Faults are of two kinds. Some replace a text of include/rpch/channel/impl, which must be there exactly once; the machine
is compiled anew. The others are made of the tables: each row is taken away (the PDU is refused), its effect is skipped,
or its state stays; one program has them all, and an environment variable chooses one. For each fault the simulator runs
a few seeds, the directed cases, the idle day, and then all other seeds, until one of them fails. Prints a line for each
fault, with what found it, and the table for tests/sim/README.md at the end. Exit 0 if every fault was found that is not
in UNSEEN.

--check runs nothing: exit 2 if a text is gone from the code, if a row of a table, an event or a deadline of
docs/state-machines.md has no fault that can be found, or if tests/sim/README.md does not list a fault.
"""
import argparse
import concurrent.futures
import os
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
    # What opens, forwards, acknowledges, pings and waits.
    # The client: opening.
    ("client: opens no IN channel", CLIENT, "    out.push_back(action::open{leg::in_http});\n", ""),
    ("client: opens no OUT channel", CLIENT, "    out.push_back(action::open{leg::out_http});\n    return {};\n", "    return {};\n"),
    ("client: opening has no deadline", CLIENT, "    deadlines_.set(wait::open, now + settings_.open_wait);\n", ""),
    ("client: CONN/A1 is forgotten", CLIENT, "        out.push_back(action::send{\n            which, rts::encode(rts::conn_a1{.virtual_connection = settings_.virtual_connection,\n                                            .out_channel = settings_.out_channel,\n                                            .receive_window_size = received_.size()})});\n", ""),
    ("client: CONN/B1 is forgotten", CLIENT, "    if (const auto failure = send_on_in(rts::conn_b1::kind, rts::encode(b1), now, out))\n        return end(failure, which, out);\n", ""),
    ("client: does not know that IN is connected", CLIENT, "    in_connected_ = true;\n", ""),
    ("client: the response on OUT does not lead on", CLIENT, "    if (state_ == state::out_channel_wait) state_ = state::wait_a3w;\n", ""),
    ("client: takes a failure response for success", CLIENT, "    if (status != success)\n        return end(number ? make_error_code(*number) : http_failure(status), from, out);\n", ""),
    ("client: CONN/A3 starts no pings", CLIENT, "    set_timeout(rts::get<rts::conn_a3>(in).connection_timeout, now);\n", ""),
    ("client: CONN/C2 starts the timer of pings not anew", CLIENT, "    set_timeout(c2.connection_timeout, now);\n", ""),
    ("client: does not take the window of CONN/C2", CLIENT, "    sending_ = send_window(c2.receive_window_size);\n", ""),
    ("client: the deadline of opening goes on", CLIENT, "    deadlines_.clear(wait::open);\n", ""),
    ("client: does not say that it is open", CLIENT, "    out.push_back(action::opened{});\n", ""),
    ("client: says that it is open without being it", CLIENT, "    out.push_back(action::opened{});\n", "    out.push_back(action::opened{});\n    state_ = state::wait_c2;\n"),
    # The client: replacing.
    ("client: begins no replacement of IN early", CLIENT, "    if (in_confirmed_ && lifetime_.left() < threshold) replace_in(now, out);\n", ""),
    ("client: begins no replacement of IN at all", CLIENT, "    in_ = in_state::opened_a4w; // 3.2.2.5.12\n", "    return;\n"),
    ("client: opens no IN successor", CLIENT, "    out.push_back(action::open{leg::successor_in_http});\n}\n\nRPCH_DECL void client::set_timeout", "}\n\nRPCH_DECL void client::set_timeout"),
    ("client: IN_R*/A1 is forgotten", CLIENT, "        out.push_back(action::send{which, a1});\n", ""),
    ("client: does not count IN_R*/A1", CLIENT, "        in_successor_lifetime_.spend(a1.size());\n", ""),
    ("client: OUT_R*/A3 is forgotten", CLIENT, "        out.push_back(action::send{\n            which, rts::encode(rts::out_r1_a3{.virtual_connection = settings_.virtual_connection,\n                                              .predecessor_channel = out_channel_,\n                                              .successor_channel = fresh,\n                                              .receive_window_size = received_.size()})});\n", ""),
    ("client: IN_R1/A4 starts the timer of pings not anew", CLIENT, "    set_timeout(a4.connection_timeout, now);\n", ""),
    ("client: replaces IN before the server has taken the last one over", CLIENT, "    in_confirmed_ = false;\n", ""),
    ("client: no acknowledgement shows that IN has been taken over", CLIENT, "    in_confirmed_ = true;\n", ""),
    ("client: the deadline of the replacement of IN goes on", CLIENT, "    deadlines_.clear(wait::in_replacement);\n", ""),
    ("client: the deadline of the replacement of OUT goes on", CLIENT, "    deadlines_.clear(wait::out_replacement);\n", ""),
    ("client: the response of the OUT successor counts for the predecessor", CLIENT, "    out_response_came_ = std::exchange(out_successor_response_came_, false);\n", ""),
    ("client: a successor that cannot be opened ends it", CLIENT, "    int& tries = in ? in_tries_ : out_tries_;\n    if (!unknown_to_others || ++tries >= limits::successor_tries_max)\n        return end(closing_reason(why), which, out);\n", "    return end(closing_reason(why), which, out);\n    int& tries = in_tries_;\n    static_cast<void>(unknown_to_others);\n"),
    ("client: does not try an IN successor again", CLIENT, "    if (deadlines_.take_due(wait::retry_in, now))\n        out.push_back(action::open{leg::successor_in_http});\n", "    deadlines_.clear(wait::retry_in);\n"),
    ("client: does not try an OUT successor again", CLIENT, "    if (deadlines_.take_due(wait::retry_out, now))\n        out.push_back(action::open{leg::successor_out_http});\n", "    deadlines_.clear(wait::retry_out);\n"),
    # The client: acknowledgements, pings, deadlines.
    ("client: never acknowledges", CLIENT, "    if (bytes == 0 || !received_.on_released(bytes)) return {};\n", "    received_.on_released(bytes);\n    return {};\n"),
    ("client: acknowledgements are not sent", CLIENT, "    if (const auto failure = send_on_in(pdu.kind, rts::encode(pdu), now, out))\n        return end(failure, leg::in_http, out);\n    return {};\n}\n\nRPCH_DECL std::error_code client::set_client_keepalive", "    return {};\n}\n\nRPCH_DECL std::error_code client::set_client_keepalive"),
    ("client: an acknowledgement does not say that more may be sent", CLIENT, "        deadlines_.clear(wait::blocked);\n        out.push_back(action::sendable{});\n", "        deadlines_.clear(wait::blocked);\n"),
    ("client: an acknowledgement does not end the wait for it", CLIENT, "        deadlines_.clear(wait::blocked);\n        out.push_back(action::sendable{});\n", "        out.push_back(action::sendable{});\n"),
    ("client: Keep-Alive is forgotten", CLIENT, "    if (const auto failure = send_on_in(pdu.kind, rts::encode(pdu), now, out))\n        return end(failure, leg::in_http, out);\n    return {};\n}\n\nRPCH_DECL std::error_code client::close", "    return {};\n}\n\nRPCH_DECL std::error_code client::close"),
    ("client: Keep-Alive for an IN_R1 successor is forgotten", CLIENT, "        if (const auto failure = send_on_in(pdu.kind, rts::encode(pdu), now, out)) return failure;\n    }\n", "    }\n"),
    ("client: never pings", CLIENT, "    if (silence_.take_due(now) && in_connected_)\n        if (const auto failure = send_on_in(rts::ping::kind, rts::encode(rts::ping{}), now, out))\n            return end(failure, leg::in_http, out);\n", "    static_cast<void>(silence_.take_due(now));\n"),
    ("client: a PDU does not put the next ping off", CLIENT, "    silence_.on_sent(now);\n    out.push_back(action::send{leg::in_http, pdu});\n", "    out.push_back(action::send{leg::in_http, pdu});\n"),
    ("client: the deadline of opening does not end it", CLIENT, "    if (deadlines_.is_due(wait::open, now)) return end(errc::setup_timeout, leg::out_http, out);\n", "    deadlines_.clear(wait::open);\n"),
    ("client: waits for an acknowledgement without a deadline", CLIENT, "    if (!sending_.fits(bytes)) deadlines_.set_once(wait::blocked, now + settings_.blocked_wait);\n", ""),
    ("client: the replacement of IN has no deadline", CLIENT, "    deadlines_.set(wait::in_replacement, now + settings_.replacement_wait);\n", ""),
    ("client: the replacement of OUT has no deadline", CLIENT, "    deadlines_.set(wait::out_replacement, now + settings_.replacement_wait);\n", ""),
    ("client: a replacement of IN that harms nobody ends it as well", CLIENT, "    if (!harmless) return errc::replacement_timeout;\n", "    return errc::replacement_timeout;\n    static_cast<void>(harmless);\n"),
    ("client: a replacement of IN that is waited for never ends it", CLIENT, "    if (!harmless) return errc::replacement_timeout;\n", "    if (!in) return errc::replacement_timeout;\n    static_cast<void>(harmless);\n"),
    # The inbound proxy: opening.
    ("inbound proxy: the first PDU has no deadline", INBOUND, "    if (!ending_) deadlines_.set(wait::setup, now + settings_.first_pdu_wait);\n", "    static_cast<void>(now);\n"),
    ("inbound proxy: does not connect", INBOUND, "    deadlines_.set(wait::setup, now + settings_.connect_wait);\n    out.push_back(action::open{leg::in_tcp});\n    return {};\n}\n\nRPCH_DECL std::error_code inbound_proxy::connect_successor", "    static_cast<void>(out);\n    deadlines_.set(wait::setup, now + settings_.connect_wait);\n    return {};\n}\n\nRPCH_DECL std::error_code inbound_proxy::connect_successor"),
    ("inbound proxy: an IN_R1 successor does not connect", INBOUND, "    out.push_back(action::open{leg::in_tcp});\n    return {};\n}\n\nRPCH_DECL std::error_code inbound_proxy::unplug(", "    static_cast<void>(out);\n    return {};\n}\n\nRPCH_DECL std::error_code inbound_proxy::unplug("),
    ("inbound proxy: connecting has no deadline of its own", INBOUND, "    client_keepalive_ = hello_.client_keepalive;\n    deadlines_.set(wait::setup, now + settings_.connect_wait);\n", "    client_keepalive_ = hello_.client_keepalive;\n    deadlines_.clear(wait::setup);\n"),
    ("inbound proxy: does not keep the interval of CONN/B1", INBOUND, "    client_keepalive_ = hello_.client_keepalive;\n", ""),
    ("inbound proxy: a failure to connect is no response", INBOUND, "        out.push_back(action::refuse{leg::in_http, rpc_status::server_unavailable}); // 3.2.3.5.11\n", ""),
    ("inbound proxy: a connection that is late is no response", INBOUND, "        if (state_ == state::connecting || state_ == state::connecting_r1)\n            out.push_back(action::refuse{leg::in_http, rpc_status::server_unavailable});\n", ""),
    ("inbound proxy: sets no keep-alive", INBOUND, "    out.push_back(\n        action::keep_alive{leg::in_tcp, rts::effective_client_keepalive(client_keepalive_)});\n    if (successor) {", "    if (successor) {"),
    ("inbound proxy: CONN/B2 is forgotten", INBOUND, "    out.push_back(action::send{\n        leg::in_tcp,\n        rts::encode(rts::conn_b2{", "    static_cast<void>(action::send{\n        leg::in_tcp,\n        rts::encode(rts::conn_b2{"),
    ("inbound proxy: CONN/B3 has the deadline of connecting", INBOUND, "    deadlines_.set(wait::setup, now + settings_.pairing_wait);\n", ""),
    ("inbound proxy: IN_R1/B2 has the deadline of CONN/B3", INBOUND, "        deadlines_.set(wait::setup, now + settings_.replacement_wait);\n        out.push_back(action::send{\n            leg::in_tcp,\n            rts::encode(rts::in_r1_a2{", "        out.push_back(action::send{\n            leg::in_tcp,\n            rts::encode(rts::in_r1_a2{"),
    ("inbound proxy: the deadline of opening goes on", INBOUND, "    deadlines_.clear(wait::setup);\n    sending_.set_peer_window(bytes);\n", "    sending_.set_peer_window(bytes);\n"),
    ("inbound proxy: does not take the window of CONN/B3 or IN_R1/B2", INBOUND, "    deadlines_.clear(wait::setup);\n    sending_.set_peer_window(bytes);\n", "    deadlines_.clear(wait::setup);\n"),
    ("inbound proxy: does not say that it is open", INBOUND, "    out.push_back(action::opened{});\n    return sending_.unplug(out);\n", "    return sending_.unplug(out);\n"),
    ("inbound proxy: CONN/B3 and IN_R1/B2 do not unplug", INBOUND, "    out.push_back(action::opened{});\n    return sending_.unplug(out);\n", "    out.push_back(action::opened{});\n    return {};\n"),
    ("inbound proxy: IN_R1/B2 does not unplug what drains", INBOUND, "    if (const auto failure = sending_.unplug(out)) return failure;\n    watch_queue(now);\n    return end_if_drained(out);\n", "    watch_queue(now);\n    return end_if_drained(out);\n"),
    ("inbound proxy: IN_R1/B2 does not end what has drained", INBOUND, "    watch_queue(now);\n    return end_if_drained(out);\n}\n\nRPCH_DECL std::error_code inbound_proxy::unplug_with", "    watch_queue(now);\n    return {};\n}\n\nRPCH_DECL std::error_code inbound_proxy::unplug_with"),
    ("inbound proxy: does not take the window of IN_R1/B2 while it drains", INBOUND, "    sending_.set_peer_window(bytes);\n    if (const auto failure = sending_.unplug(out)) return failure;\n    watch_queue(now);\n    return end_if_drained(out);\n", "    if (const auto failure = sending_.unplug(out)) return failure;\n    watch_queue(now);\n    return end_if_drained(out);\n"),
    # The inbound proxy: forwarding, acknowledgements, deadlines.
    *[(f"inbound proxy: {words} is not forwarded", INBOUND, "        return forward(in->forward_destination(), from, out);\n", f"        return in->kind() == rts::shape::{kind} ? std::error_code{{}} : forward(in->forward_destination(), from, out);\n")
      for words, kind in (("OUT_R1/A7", "out_r1_a7"), ("OUT_R2/A7", "out_r2_a7"), ("an acknowledgement of the client", "flow_control_ack_with_destination"))],
    ("inbound proxy: never acknowledges", INBOUND, "    if (rpc_bytes == 0 || !received_.on_released(rpc_bytes) || state_ == state::draining) return {};\n", "    if (rpc_bytes != 0) received_.on_released(rpc_bytes);\n    return {};\n"),
    ("inbound proxy: an acknowledgement does not end the wait for it", INBOUND, "    if (sending_.queued_bytes() != queued) deadlines_.clear(wait::blocked);\n", "    static_cast<void>(queued);\n"),
    ("inbound proxy: waits for an acknowledgement without a deadline", INBOUND, "        deadlines_.set_once(wait::blocked, now + settings_.blocked_wait);\n    else\n", "        static_cast<void>(now);\n    else\n"),
    ("inbound proxy: an IN_R2 successor has no deadline", INBOUND, "    other_channel_ = a1.successor_channel;\n    deadlines_.set(wait::replacement, now + settings_.replacement_wait);\n", "    static_cast<void>(now);\n    other_channel_ = a1.successor_channel;\n"),
    ("inbound proxy: the deadline of an IN_R2 successor goes on", INBOUND, "    deadlines_.clear(wait::replacement);\n", ""),
    ("inbound proxy: draining has no deadline", INBOUND, "    deadlines_.clear(wait::setup);\n    deadlines_.set(wait::replacement, now + settings_.replacement_wait);\n", "    static_cast<void>(now);\n    deadlines_.clear(wait::setup);\n"),
    ("inbound proxy: keeps an IN_R2 successor with another cookie", INBOUND, "        out.push_back(action::close{leg::successor_in_http}); // and go on with the predecessor\n        return {};\n", "        return {};\n"),
    ("inbound proxy: takes an IN_R2 successor with another cookie", INBOUND, "        out.push_back(action::close{leg::successor_in_http}); // and go on with the predecessor\n        return {};\n", ""),
    ("inbound proxy: the end of one hop does not end the other", INBOUND, "    // 3.2.3.5.10: the other hop goes, too;", "    if (why == errc::channel_closed) return {};\n    // 3.2.3.5.10: the other hop goes, too;"),
    # The outbound proxy: opening.
    ("outbound proxy: the first PDU has no deadline", OUTBOUND, "    if (!ending_) deadlines_.set(wait::setup, now + settings_.first_pdu_wait);\n", "    static_cast<void>(now);\n"),
    ("outbound proxy: does not connect", OUTBOUND, "    out.push_back(action::open{leg::out_tcp});\n", ""),
    ("outbound proxy: does not take the client's window", OUTBOUND, "    sending_.set_peer_window(bytes);\n", ""),
    ("outbound proxy: connecting has no deadline of its own", OUTBOUND, "    deadlines_.set(wait::setup, now + settings_.connect_wait);\n", "    deadlines_.clear(wait::setup);\n"),
    ("outbound proxy: a failure to connect is no response", OUTBOUND, "        out.push_back(action::refuse{leg::out_http, rpc_status::server_unavailable}); // 3.2.4.5.3\n", ""),
    ("outbound proxy: a connection that is late is no response", OUTBOUND, "        if (state_ == state::connecting || state_ == state::connecting_r1)\n            out.push_back(action::refuse{leg::out_http, rpc_status::server_unavailable});\n", ""),
    ("outbound proxy: CONN/A2 is forgotten", OUTBOUND, "    out.push_back(action::send{\n        leg::out_tcp,\n        rts::encode(rts::conn_a2{", "    static_cast<void>(action::send{\n        leg::out_tcp,\n        rts::encode(rts::conn_a2{"),
    ("outbound proxy: CONN/A3 is forgotten", OUTBOUND, "    if (const auto failure = send_to_client(a3.kind, rts::encode(a3), now, out))\n        return end(failure, leg::out_http, out);\n    return {};\n", "    static_cast<void>(a3);\n    return {};\n"),
    ("outbound proxy: CONN/A3 before the response head", OUTBOUND, "    if (auto failure = respond(now, out)) return end(failure, leg::out_http, out);\n", "    out.push_back(action::send{leg::out_http, rts::encode(rts::conn_a3{.connection_timeout = timeout_ms()})});\n    if (auto failure = respond(now, out)) return end(failure, leg::out_http, out);\n    return {};\n"),
    ("outbound proxy: no response head", OUTBOUND, "    out.push_back(\n        action::respond{leg::out_http, rts::clamp_channel_lifetime(settings_.channel_lifetime)});\n", ""),
    ("outbound proxy: CONN/C1 has the deadline of connecting", OUTBOUND, "    deadlines_.set(wait::setup, now + settings_.pairing_wait);\n", ""),
    ("outbound proxy: CONN/C2 is forgotten", OUTBOUND, "    deadlines_.clear(wait::setup);\n    if (const auto failure = pass(in, now, out)) return failure;\n    out.push_back(action::opened{});\n", "    deadlines_.clear(wait::setup);\n    out.push_back(action::opened{});\n"),
    ("outbound proxy: the deadline of opening goes on", OUTBOUND, "    deadlines_.clear(wait::setup);\n    if (const auto failure = pass(in, now, out)) return failure;\n", "    if (const auto failure = pass(in, now, out)) return failure;\n"),
    ("outbound proxy: does not say that it is open", OUTBOUND, "    if (const auto failure = pass(in, now, out)) return failure;\n    out.push_back(action::opened{});\n", "    if (const auto failure = pass(in, now, out)) return failure;\n"),
    # The outbound proxy: replacing.
    ("outbound proxy: OUT_R1/A4 is forgotten", OUTBOUND, "        out.push_back(action::send{\n            leg::out_tcp, rts::encode(rts::out_r1_a4{", "        static_cast<void>(action::send{\n            leg::out_tcp, rts::encode(rts::out_r1_a4{"),
    ("outbound proxy: OUT_R1/A11 has the deadline of connecting", OUTBOUND, "        state_ = state::a11w;\n        deadlines_.set(wait::setup, now + settings_.replacement_wait);\n", "        state_ = state::a11w;\n"),
    ("outbound proxy: the deadline of OUT_R1/A11 goes on", OUTBOUND, "    deadlines_.clear(wait::setup);\n    out.push_back(action::opened{});\n    const auto failure = respond(now, out);\n", "    out.push_back(action::opened{});\n    const auto failure = respond(now, out);\n".replace("const auto", "const auto")),
    ("outbound proxy: an OUT_R1 successor does not say that it is open", OUTBOUND, "    out.push_back(action::opened{});\n    const auto failure = respond", "    const auto failure = respond"),
    ("outbound proxy: an OUT_R2 successor has no deadline", OUTBOUND, "    deadlines_.set(wait::replacement, now + settings_.replacement_wait);\n    out.push_back(\n        action::send{leg::out_tcp, rts::encode(rts::out_r2_a4{", "    static_cast<void>(now);\n    out.push_back(\n        action::send{leg::out_tcp, rts::encode(rts::out_r2_a4{"),
    ("outbound proxy: OUT_R2/C1 has no deadline", OUTBOUND, "    state_ = has_c1 ? state::opened : state::r2_c1w;\n", "    state_ = has_c1 ? state::opened : state::r2_c1w;\n    deadlines_.clear(wait::replacement);\n"),
    ("outbound proxy: the deadline of OUT_R2 goes on", OUTBOUND, "    deadlines_.clear(wait::replacement);\n    const auto failure = respond(now, out);\n", "    const auto failure = respond(now, out);\n"),
    ("outbound proxy: the deadline of a refused OUT_R2 successor goes on", OUTBOUND, "    deadlines_.clear(wait::replacement);\n    out.push_back(action::close{leg::successor_out_http});\n", "    out.push_back(action::close{leg::successor_out_http});\n"),
    ("outbound proxy: keeps a refused OUT_R2 successor", OUTBOUND, "    out.push_back(action::close{leg::successor_out_http});\n", ""),
    # The outbound proxy: forwarding, acknowledgements, pings, deadlines.
    *[(f"outbound proxy: {words} is not forwarded", OUTBOUND, "    if (const auto failure = pass(in, now, out)) return end(failure, leg::out_http, out);\n    return {};\n", f"    if (in.kind() == rts::shape::{kind}) return {{}};\n    if (const auto failure = pass(in, now, out)) return end(failure, leg::out_http, out);\n    return {{}};\n")
      for words, kind in (("OUT_R*/A2", "out_r1_a1"), ("OUT_R1/A6", "out_r1_a5"), ("OUT_R2/A6", "out_r2_a5"), ("IN_R1/A4", "in_r1_a3"), ("IN_R2/A4", "in_r2_a3"), ("an acknowledgement of the inbound proxy", "flow_control_ack_with_destination"))],
    ("outbound proxy: PDUs for the client go past the plug", OUTBOUND, "    return channel_of_new_pdus().forward_rts(in, out);\n", "    static_cast<void>(in);\n    out.push_back(action::forward{leg::out_http});\n    return {};\n"),
    ("outbound proxy: never acknowledges", OUTBOUND, "    if (rpc_bytes != 0 && received_.on_released(rpc_bytes)) acknowledge(out);\n", "    if (rpc_bytes != 0) received_.on_released(rpc_bytes);\n"),
    ("outbound proxy: never pings", OUTBOUND, "    if (silence_.take_due(now))\n        if (const auto failure = ping(now, out)) return end(failure, leg::out_http, out);\n", "    static_cast<void>(silence_.take_due(now));\n"),
    ("outbound proxy: PingTrafficSentNotify is forgotten", OUTBOUND, "    out.push_back(action::send{leg::out_tcp, rts::encode(notify)});\n", "    static_cast<void>(notify);\n"),
    ("outbound proxy: tells pings twice", OUTBOUND, "    pings_not_told_ = 0;\n", ""),
    ("outbound proxy: does not count pings", OUTBOUND, "    pings_not_told_ += static_cast<std::uint32_t>(pdu.size());\n", ""),
    ("outbound proxy: pings take the room of the last PDU", OUTBOUND, "    if (sending_.plugged() || sending_.lifetime().left() < pdu.size() + last_pdu_bytes) return {};\n", "    if (sending_.plugged()) return {};\n"),
    ("outbound proxy: pings while it is plugged", OUTBOUND, "    if (sending_.plugged() || sending_.lifetime().left() < pdu.size() + last_pdu_bytes) return {};\n", "    if (sending_.lifetime().left() < pdu.size() + last_pdu_bytes) return {};\n"),
    ("outbound proxy: a PDU does not put the next ping off", OUTBOUND, "    silence_.on_sent(now);\n    return sending_.send_rts(kind, pdu, out);\n", "    static_cast<void>(now);\n    return sending_.send_rts(kind, pdu, out);\n"),
    ("outbound proxy: an acknowledgement does not end the wait for it", OUTBOUND, "        silence_.on_sent(now);\n        deadlines_.clear(wait::blocked);\n", "        silence_.on_sent(now);\n"),
    ("outbound proxy: waits for an acknowledgement without a deadline", OUTBOUND, "        deadlines_.set_once(wait::blocked, now + settings_.blocked_wait);\n    else\n", "        static_cast<void>(now);\n    else\n"),
    ("outbound proxy: the end of one hop does not end the other", OUTBOUND, "    // 3.2.4.5.14: the other hop goes, too;", "    if (why == errc::channel_closed) return {};\n    // 3.2.4.5.14: the other hop goes, too;"),
    # The server: opening.
    ("server: pairing has no deadline", SERVER, "    if (!ending_ && state_ != state::opened)\n        deadlines_.set(wait::setup, now + settings_.pairing_wait);\n", "    static_cast<void>(now);\n"),
    ("server: does not keep the cookie of CONN/A2", SERVER, "    cookie_ = out_half_.virtual_connection;\n", ""),
    ("server: does not keep the OUT channel of CONN/A2", SERVER, "    out_channel_ = out_half_.out_channel;\n", ""),
    ("server: does not take the window of CONN/A2", SERVER, "    sending_ = send_window(out_half_.receive_window_size);\n", ""),
    ("server: does not take the lifetime of CONN/A2", SERVER, "    lifetime_ = channel::lifetime(fresh_lifetime_);\n    return {};\n", "    return {};\n"),
    ("server: does not keep the cookie of CONN/B2", SERVER, "    cookie_ = in_half_.virtual_connection;\n", ""),
    ("server: does not keep the IN channel of CONN/B2", SERVER, "    in_channel_ = in_half_.in_channel;\n", ""),
    ("server: CONN/A2 as the second half does not open", SERVER, "    if (const auto failure = keep_a2(in, now, out)) return failure;\n    return open_up(out);\n", "    return keep_a2(in, now, out);\n"),
    ("server: CONN/B2 as the second half does not open", SERVER, "    if (const auto failure = keep_b2(in, now, out)) return failure;\n    return open_up(out);\n", "    return keep_b2(in, now, out);\n"),
    ("server: the deadline of pairing goes on", SERVER, "    deadlines_.clear(wait::setup);\n", ""),
    ("server: CONN/C1 is forgotten", SERVER, "    out.push_back(action::send{leg::out_tcp, c1});\n", ""),
    ("server: does not count CONN/C1", SERVER, "    if (!lifetime_.take(c1.size())) return errc::lifetime_exceeded;\n", ""),
    ("server: CONN/B3 is forgotten", SERVER, "    out.push_back(action::send{\n        leg::in_tcp,\n        rts::encode(rts::conn_b3{.receive_window_size = received_.size(), .version = version})});\n", ""),
    # The server: replacing.
    ("server: IN_R1/A2 has no deadline", SERVER, "    in_successor_ = a2.successor_channel;\n    deadlines_.set(wait::in_replacement, now + settings_.replacement_wait);\n", "    in_successor_ = a2.successor_channel;\n"),
    ("server: IN_R1/A6 gives the rest no time of its own", SERVER, "    deadlines_.set(wait::in_replacement, now + settings_.replacement_wait);\n    return {};\n", "    static_cast<void>(now);\n    return {};\n"),
    ("server: IN_R1/A6 ends the deadline", SERVER, "    deadlines_.set(wait::in_replacement, now + settings_.replacement_wait);\n    return {};\n", "    static_cast<void>(now);\n    deadlines_.clear(wait::in_replacement);\n    return {};\n"),
    ("server: takes IN_R1/A6 with another cookie", SERVER, "    if (rts::get<rts::in_r1_a6>(in).successor_channel != in_successor_)\n        return errc::cookie_mismatch;\n", ""),
    ("server: the deadline of IN_R1 goes on", SERVER, "    deadlines_.clear(wait::in_replacement);\n    out.push_back(action::promote", "    out.push_back(action::promote"),
    ("server: does not take the cookie of IN_R2/A2", SERVER, "    in_channel_ = rts::get<rts::in_r2_a2>(in).successor_channel;\n", ""),
    ("server: OUT_R*/A1 is forgotten", SERVER, "    out.push_back(action::send{leg::out_tcp, a1});\n", ""),
    ("server: does not count OUT_R*/A1", SERVER, "    if (!lifetime_.take(a1.size())) return errc::lifetime_exceeded;\n", ""),
    ("server: the replacement of OUT has no deadline", SERVER, "    deadlines_.set(wait::out_replacement, now + settings_.replacement_wait);\n    out.push_back(action::send{leg::out_tcp, a1});\n", "    static_cast<void>(now);\n    out.push_back(action::send{leg::out_tcp, a1});\n"),
    ("server: the deadline of the replacement of OUT goes on", SERVER, "    rpc_waits_ = false;\n    deadlines_.clear(wait::out_replacement);\n", "    rpc_waits_ = false;\n"),
    ("server: a replacement of OUT that harms nobody ends it as well", SERVER, "        if (!harmless) return end(errc::replacement_timeout, leg::out_tcp, out);\n", "        static_cast<void>(harmless);\n        return end(errc::replacement_timeout, leg::out_tcp, out);\n"),
    ("server: a replacement of OUT that is waited for never ends it", SERVER, "        if (!harmless) return end(errc::replacement_timeout, leg::out_tcp, out);\n", "        static_cast<void>(harmless);\n"),
    ("server: does not take the window of OUT_R1/A4", SERVER, "    successor_sending_ = send_window(a4.receive_window_size);\n", "    successor_sending_ = sending_;\n"),
    ("server: does not take the lifetime of OUT_R1/A4", SERVER, "    successor_lifetime_ = std::min(a4.channel_lifetime, limits::channel_lifetime_max);\n", "    successor_lifetime_ = 4 * fresh_lifetime_;\n"),
    ("server: does not count OUT_R1/A5", SERVER, "    if (!lifetime_.take(a5.size())) return errc::lifetime_exceeded;\n    out.push_back(action::send{leg::out_tcp, a5});\n    return {};\n}\n\nRPCH_DECL std::error_code server::begin_out_r2", "    out.push_back(action::send{leg::out_tcp, a5});\n    return {};\n}\n\nRPCH_DECL std::error_code server::begin_out_r2"),
    ("server: takes OUT_R1/A8 with another cookie", SERVER, "    if (rts::get<rts::out_r1_a8>(in).successor_channel != out_successor_)\n        return errc::cookie_mismatch;\n", ""),
    ("server: OUT_R2/B2 is forgotten", SERVER, "        out.push_back(action::send{leg::out_tcp, rts::encode(rts::out_r2_b2{})});\n", ""),
    ("server: the deadline of a refused OUT_R2 successor goes on", SERVER, "        deadlines_.clear(wait::out_replacement);\n        out.push_back(action::send{leg::out_tcp, rts::encode(rts::out_r2_b2{})});\n", "        out.push_back(action::send{leg::out_tcp, rts::encode(rts::out_r2_b2{})});\n"),
    ("server: drops acknowledgements under the old cookie (OUT_R2)", SERVER, "    predecessor_is_alias_ = true;\n", ""),
    ("server: the OUT predecessor has no deadline (OUT_R1)", SERVER, "    deadlines_.set(wait::predecessor, now + settings_.replacement_wait);\n", ""),
    ("server: the OUT predecessor's deadline does not close it (OUT_R1)", SERVER, "        out.push_back(action::close{leg::predecessor_out_tcp});\n    }\n    return {};\n}\n\nRPCH_DECL std::optional<time_point> server::next_deadline", "    }\n    return {};\n}\n\nRPCH_DECL std::optional<time_point> server::next_deadline"),
    ("server: the end of the OUT predecessor is the end (OUT_R1)", SERVER, "        predecessor_is_there_ = false;\n        deadlines_.clear(wait::predecessor);\n        return {};\n", "        return end(closing_reason(why), which, out);\n"),
    # The server: forwarding, acknowledgements, pings, deadlines.
    ("server: an acknowledgement of the client is not forwarded", SERVER, "        out.push_back(action::forward{old ? leg::predecessor_out_tcp : leg::out_tcp});\n", "        static_cast<void>(old);\n"),
    ("server: an acknowledgement of the inbound proxy is not forwarded", SERVER, "        out.push_back(action::forward{leg::out_tcp});\n        if (const auto failure = replace_out_if_due(now, out))", "        if (const auto failure = replace_out_if_due(now, out))"),
    ("server: never acknowledges", SERVER, "    if (bytes == 0 || !received_.on_released(bytes)) return {};\n", "    if (bytes != 0) received_.on_released(bytes);\n    return {};\n"),
    ("server: an acknowledgement does not say that more may be sent", SERVER, "        deadlines_.clear(wait::blocked);\n        out.push_back(action::sendable{});\n", "        deadlines_.clear(wait::blocked);\n"),
    ("server: an acknowledgement does not end the wait for it", SERVER, "        deadlines_.clear(wait::blocked);\n        out.push_back(action::sendable{});\n", "        out.push_back(action::sendable{});\n"),
    ("server: waits for an acknowledgement without a deadline", SERVER, "    if (!sending_.fits(bytes)) deadlines_.set_once(wait::blocked, now + settings_.blocked_wait);\n", "    static_cast<void>(now);\n"),
    ("server: pings are not counted", SERVER, "    lifetime_.spend(bytes);\n    return replace_out_if_due(now, out);\n", "    return replace_out_if_due(now, out);\n"),
    ("server: pings replace nothing", SERVER, "    lifetime_.spend(bytes);\n    return replace_out_if_due(now, out);\n", "    static_cast<void>(now);\n    static_cast<void>(out);\n    lifetime_.spend(bytes);\n    return {};\n"),
    ("server: counts acknowledgements of the inbound proxy not", SERVER, "    if (lifetime_.take_beyond(out_handover_bytes, in.bytes().size())) {\n", "    if (lifetime_.left() > out_handover_bytes) {\n"),
]


# Faults of what no row of a table of PDUs stands for: events and deadlines, as docs/state-machines.md has them.
COVERED = {
    ("Client", "start", "start"): ["client: opens no IN channel", "client: opens no OUT channel", "client: CONN/A1 is forgotten", "client: CONN/B1 is forgotten"],
    ("Client", "OUT Channel Wait", "response head 200 on OUT"): ["client: the response on OUT does not lead on"],
    ("Client", "Opened", "IN-H nearly used up"): ["client: begins no replacement of IN early", "client: begins no replacement of IN at all", "client: opens no IN successor", "client: IN_R*/A1 is forgotten"],
    ("Client", "`open_wait`", "from the start until Opened"): ["client: opening has no deadline", "client: the deadline of opening goes on"],
    ("Client", "`replacement_wait`", "in Opened_A4W; in Opened_A6W, Opened_A10W, B3W"): ["client: the replacement of IN has no deadline", "client: the replacement of OUT has no deadline", "client: the deadline of the replacement of OUT goes on"],
    ("Client", "`blocked_wait`", "while an RPC PDU waits for an acknowledgement"): ["client: waits for an acknowledgement without a deadline"],
    ("Client", "half the timeout of CONN/A3, CONN/C2 or IN_R1/A4, or of a keep-alive", "while nothing is sent on IN-H"): ["client: never pings", "client: CONN/A3 starts no pings", "client: CONN/C2 starts the timer of pings not anew", "client: IN_R1/A4 starts the timer of pings not anew"],
    ("Inbound proxy", "connecting", "connected"): ["inbound proxy: CONN/B2 is forgotten", "inbound proxy: sets no keep-alive"],
    ("Inbound proxy", "connecting (IN_R1)", "connected"): ["inbound proxy: IN_R1/A2 is forgotten"],
    ("Inbound proxy", "draining", "queue empty"): ["inbound proxy: IN_R1/B1 is forgotten", "inbound proxy: draining never ends"],
    ("Inbound proxy", "`first_pdu_wait`", "in Open_Start; `replacement_wait` when the first PDU has to wait"): ["inbound proxy: the first PDU has no deadline"],
    ("Inbound proxy", "`connect_wait`", "while connecting"): ["inbound proxy: connecting has no deadline of its own", "inbound proxy: a connection that is late is no response"],
    ("Inbound proxy", "`pairing_wait`", "in B3W"): ["inbound proxy: CONN/B3 has the deadline of connecting", "inbound proxy: the deadline of opening goes on"],
    ("Inbound proxy", "`replacement_wait`", "in Wait_B2"): ["inbound proxy: IN_R1/B2 has the deadline of CONN/B3"],
    ("Inbound proxy", "`replacement_wait`", "in Opened_A5W; while draining"): ["inbound proxy: an IN_R2 successor has no deadline", "inbound proxy: draining has no deadline"],
    ("Inbound proxy", "`blocked_wait`", "while an RPC PDU waits for an acknowledgement of the server"): ["inbound proxy: waits for an acknowledgement without a deadline", "inbound proxy: an acknowledgement does not end the wait for it"],
    ("Outbound proxy", "connecting", "connected"): ["outbound proxy: CONN/A2 is forgotten", "outbound proxy: no response head", "outbound proxy: CONN/A3 is forgotten", "outbound proxy: CONN/A3 before the response head"],
    ("Outbound proxy", "connecting (OUT_R1)", "connected"): ["outbound proxy: OUT_R1/A4 is forgotten"],
    ("Outbound proxy", "draining (OUT_R1)", "queue empty"): ["outbound proxy: OUT_R1/A10 and OUT_R2/B3 are forgotten"],
    ("Outbound proxy", "draining, C1W", "queue empty"): ["outbound proxy: the head does not wait for C1 (OUT_R2)"],
    ("Outbound proxy", "draining", "queue empty"): ["outbound proxy: does not switch (OUT_R2)"],
    ("Outbound proxy", "`first_pdu_wait`", "in Open_Start; `replacement_wait` when the first PDU has to wait"): ["outbound proxy: the first PDU has no deadline"],
    ("Outbound proxy", "`connect_wait`", "while connecting"): ["outbound proxy: connecting has no deadline of its own", "outbound proxy: a connection that is late is no response"],
    ("Outbound proxy", "`pairing_wait`", "in C1W"): ["outbound proxy: CONN/C1 has the deadline of connecting", "outbound proxy: the deadline of opening goes on"],
    ("Outbound proxy", "`replacement_wait`", "in A11W"): ["outbound proxy: OUT_R1/A11 has the deadline of connecting", "outbound proxy: the deadline of OUT_R1/A11 goes on"],
    ("Outbound proxy", "`replacement_wait`", "in B1OrC1W and B1W; while draining and in R2C1W"): ["outbound proxy: an OUT_R2 successor has no deadline", "outbound proxy: draining has no deadline", "outbound proxy: OUT_R2/C1 has no deadline"],
    ("Outbound proxy", "`blocked_wait`", "while an RPC PDU waits for an acknowledgement of the client"): ["outbound proxy: waits for an acknowledgement without a deadline", "outbound proxy: an acknowledgement does not end the wait for it"],
    ("Outbound proxy", "half of `connection_timeout`", "while nothing is sent on OUT-H, from its head on"): ["outbound proxy: never pings", "outbound proxy: PingTrafficSentNotify is forgotten", "outbound proxy: tells pings twice"],
    ("Server", "Opened", "OUT-H nearly used up"): ["server: OUT_R*/A1 is forgotten"],
    ("Server", "`pairing_wait`", "from the start until Opened"): ["server: pairing has no deadline", "server: the deadline of pairing goes on"],
    ("Server", "`replacement_wait`", "in A6W, and anew in Opened_B1W"): ["server: IN_R1/A2 has no deadline", "server: IN_R1/A6 gives the rest no time of its own", "server: IN_R1/A6 ends the deadline"],
    ("Server", "`replacement_wait`", "from Opened_A4W until Opened"): ["server: the replacement of OUT has no deadline", "server: a replacement of OUT that harms nobody ends it as well"],
    ("Server", "`replacement_wait`", "while a predecessor of OUT_R1 is there"): ["server: the OUT predecessor has no deadline (OUT_R1)", "server: the OUT predecessor's deadline does not close it (OUT_R1)"],
    ("Server", "`blocked_wait`", "while an RPC PDU waits for an acknowledgement"): ["server: waits for an acknowledgement without a deadline"],
}

# What the simulator does not find, and why.
GIVES_UP = "our client ends when B2 has the successor closed, and the whole connection with it; unit test `outbound proxy replacement: after OUT_R2/B2 the predecessor goes on`"
NOTHING_SENT = "a plugged successor has sent nothing: what comes names the predecessor, or confirms no byte"
UNSEEN = {
    "outbound_proxy, b1_or_c1w: OUT_R2/B2 on out_tcp: the state stays": GIVES_UP,
    "outbound_proxy, b1w: OUT_R2/B2 on out_tcp: the state stays": GIVES_UP,
    "outbound proxy: the deadline of a refused OUT_R2 successor goes on": GIVES_UP,
    "server: the deadline of a refused OUT_R2 successor goes on": GIVES_UP.replace("outbound proxy replacement: after OUT_R2/B2 the predecessor goes on", "server replacement: OUT_R2/A8 with another cookie is answered by B2, and the predecessor goes on"),
    "outbound_proxy, a11w: FlowControlAckWithDestination on out_tcp: nothing is done": NOTHING_SENT,
    "outbound_proxy, r2_c1w: FlowControlAckWithDestination on out_tcp: nothing is done": NOTHING_SENT,
    "client: the deadline of the replacement of IN goes on": "once it has passed there is no successor and nothing waits, which is harmless; the next replacement sets it anew",
    "client: an acknowledgement does not end the wait for it": "it lets the PDU go that waits, as acknowledgements come for half a window at least and fragments have half a window at most; sending it ends the wait",
    "server: an acknowledgement does not end the wait for it": "the same at the other end",
    "inbound proxy: IN_R1/B2 does not end what has drained": "in few seeds IN_R1/A5 overtakes B2, and in 600 seeds an acknowledgement behind B2 ended the draining all the same; unit test `inbound proxy: IN_R1/A5 may come before IN_R1/B2; what is queued waits for B2`",
    "client: a PDU does not put the next ping off": "a ping more than needed; RPC PDUs put it off all the same",
    "outbound proxy: a PDU does not put the next ping off": "CONN/A3 comes in the step that starts the timer, the last PDU in the one that ends or restarts it, and a ping counts itself",
    "outbound proxy: pings while it is plugged": "the plug holds them back like every PDU; there is room for more than come before the deadline",
    "server: does not count OUT_R*/A1": "20 bytes, within what the reserve leaves for what only the proxy counts",
    "server: does not count OUT_R1/A5": "as many bytes as that, within the same reserve",
}

# Rows of the tables.

TABLES = [(role, title, f"impl/{role}.ipp") for role, titles in (
    ("client", ("opening", "IN", "OUT")), ("inbound_proxy", ("",)), ("outbound_proxy", ("",)), ("server", ("opening", "IN", "OUT")))
    for title in titles]
ROW = re.compile(r'\{(\w+), *(\w+), *(\w+), *&me::(\w+), *(\w+), *"([^"]*)", *"([^"]*)"\}')
KINDS = {"refused": "it is refused", "skipped": "nothing is done", "stays": "the state stays"}
# What a changed copy of the machines has in addition: each table may come with one row changed, and what the effect of a
# row appends may lack one action. Environment variable RPCH_SIM_FAULT says which: "<table> <row> <kind>", or "count".
SWITCH = r"""
#ifndef RPCH_CHANNEL_SIM_FAULT_HPP
#define RPCH_CHANNEL_SIM_FAULT_HPP
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>
namespace rpch::sim_fault {
struct choice {
    std::string table, kind;
    std::size_t row = 0, action = 0;
    choice() {
        const char* said = std::getenv("RPCH_SIM_FAULT");
        char a[40] = "", b[40] = "";
        unsigned r = 0, k = 0;
        if (said != nullptr) std::sscanf(said, "%39s %u %39s %u", a, &r, b, &k);
        table = a, kind = b, row = r, action = k;
    }
};
inline const choice& chosen() {
    static const choice c;
    return c;
}
struct counted {
    std::string table;
    std::vector<unsigned long long> reached;
    std::vector<std::size_t> actions;
};
inline std::vector<counted>& counts() {
    static std::vector<counted> all;
    return all;
}
inline void print_counts() {
    for (const counted& each : counts())
        for (std::size_t i = 0; i < each.reached.size(); ++i)
            std::printf("row %s %zu reached %llu actions %zu\n", each.table.c_str(), i, each.reached[i],
                        each.actions[i]);
}
template <class Row>
struct changed {
    std::vector<Row> rows;
    const Row* chosen_row = nullptr;
    std::size_t number = 0;
    changed(const char* table, std::span<const Row> as_they_are, typename Row::effect_type nothing)
        : rows(as_they_are.begin(), as_they_are.end()) {
        if (chosen().table == "count") {
            if (counts().empty()) std::atexit(print_counts);
            number = counts().size();
            counts().push_back({table, std::vector<unsigned long long>(rows.size()), std::vector<std::size_t>(rows.size())});
        }
        if (chosen().table != table) return;
        Row& it = rows.at(chosen().row);
        if (chosen().kind == "skipped") it.effect = nothing;
        if (chosen().kind == "stays") it.to = it.from;
        chosen_row = &it;
        if (chosen().kind == "refused") rows.erase(rows.begin() + static_cast<std::ptrdiff_t>(chosen().row));
    }
    static const changed*& instance() {
        static const changed* it = nullptr;
        return it;
    }
};
template <class Machine, class Row, class In, class Time, class List>
auto apply(Machine& machine, const Row& row, const In& in, Time now, List& out) {
    const std::size_t before = out.size();
    const auto result = (machine.*row.effect)(in, now, out);
    const changed<Row>& table = *changed<Row>::instance();
    if (chosen().table == "count") {
        counted& it = counts()[table.number];
        const auto i = static_cast<std::size_t>(&row - table.rows.data());
        ++it.reached[i];
        it.actions[i] = std::max(it.actions[i], out.size() - before);
    }
    const auto at = out.begin() + static_cast<std::ptrdiff_t>(before + chosen().action);
    if (&row == table.chosen_row && chosen().kind == "forget" && before + chosen().action < out.size()) out.erase(at);
    return result;
}
}
#endif
"""


def rows_of_tables():
    """Returns [(table, row, state, leg, PDU, effect, next state, what)] of all machines."""
    out = []
    for role in ("client", "inbound_proxy", "outbound_proxy", "server"):
        text = (ROOT / f"include/rpch/channel/impl/{role}.ipp").read_text()
        titles = [title for r, title, _ in TABLES if r == role]
        bodies = re.findall(r"_?row rows\[\] = \{\n(.*?)\n    \};", text, re.DOTALL)
        assert len(bodies) == len(titles), role
        for title, body in zip(titles, bodies):
            found = ROW.findall(body)
            assert len(found) == body.count("&me::"), f"{role} {title}: a row that cannot be read"
            for i, (state, leg, shape, effect, to, _, what) in enumerate(found):
                out.append((f"{role}{'/' if title else ''}{title}", i, state, leg, shape, effect, to, what.split(":")[0]))
    return out


def put_switch(where):
    """Changes a copy of the machines so that RPCH_SIM_FAULT chooses a row."""
    channel = where / "include/rpch/channel"
    (channel / "sim_fault.hpp").write_text(SWITCH)
    for role in ("client", "inbound_proxy", "outbound_proxy", "server"):
        file = channel / f"impl/{role}.ipp"
        text = file.read_text()
        for title in [title for r, title, _ in TABLES if r == role]:
            table = f"{role}{'/' if title else ''}{title}"
            type_of = {"IN": "in_row", "OUT": "out_row"}.get(title, "row")
            text = text.replace("    return rows;\n", f"""    static const sim_fault::changed<{type_of}> it("{table}", rows, &me::ignore);
    sim_fault::changed<{type_of}>::instance() = &it;
    return std::span<const {type_of}>(it.rows);
""", 1)
        text = re.sub(r"\(this->\*(\w+)->effect\)\(\*in, now, out\)", r"sim_fault::apply(*this, *\1, *in, now, out)", text)
        file.write_text("#include <rpch/channel/sim_fault.hpp>\n" + text)


def row_faults():
    """Returns [(name, RPCH_SIM_FAULT)]."""
    out = []
    for table, i, state, leg, shape, effect, to, what in rows_of_tables():
        for kind, words in KINDS.items():
            if kind == "skipped" and effect == "ignore" or kind == "stays" and state == to: continue
            out.append((f"{table}, {state}: {what} on {leg}: {words}", f"{table} {i} {kind}"))
    return out


MACHINES = ("client", "inbound_proxy", "outbound_proxy", "server")
FLAGS = ["-std=c++20", "-DRPCH_SEPARATE_COMPILATION", '-DRPCH_TEST_VECTORS=""', "-I", str(ROOT)]


def compile_unit(compiler, text, include, out, options=("-O1",)):
    """Returns what the compiler said if it failed."""
    unit = out.with_suffix(".cpp")
    unit.write_text(text)
    built = subprocess.run([compiler, *FLAGS, *options, "-I", str(include), "-c", "-o", str(out), str(unit)],
                           capture_output=True, text=True)
    return "" if built.returncode == 0 else "NOT TRIED: does not compile: " + built.stderr[:600]


def machine_unit(machine):
    return f"#include <rpch/channel/impl/{machine}.ipp>\n"


def build_base(where, compiler):
    """Compiles all but the machines, and each machine as it is, once."""
    rest = (ROOT / "include/rpch/impl/src_protocol.hpp").read_text()
    for machine in MACHINES:
        rest = rest.replace(machine_unit(machine), "")
    units = {"rest": rest, "sim": "".join(f'#include "{p}"\n' for p in sorted((ROOT / "tests/sim").glob("*.cpp")))}
    units.update((machine, machine_unit(machine)) for machine in MACHINES)
    # Headers are the same for all faults: they are compiled once.
    (where / "pch.hpp").write_text("".join(f"#include <rpch/{h}>\n" for h in (
        "channel/client.hpp", "channel/inbound_proxy.hpp", "channel/outbound_proxy.hpp", "channel/server.hpp",
        "dcerpc/common_header.hpp", "rts/forwarding.hpp", "rts/rules.hpp")) + "#include <gsl/assert>\n")
    subprocess.run([compiler, *FLAGS, "-O0", "-I", str(ROOT / "include"), "-x", "c++-header", str(where / "pch.hpp")], check=True)
    for name, text in units.items():
        if wrong := compile_unit(compiler, text, ROOT / "include", where / f"{name}.o"):
            sys.exit(f"{name}: {wrong}")


def link(compiler, base, own, out):
    objects = [own.get(name, base / f"{name}.o") for name in ("rest", "sim", *MACHINES)]
    built = subprocess.run([compiler, "-o", str(out), *map(str, objects)], capture_output=True, text=True)
    return "" if built.returncode == 0 else "NOT TRIED: does not link: " + built.stderr[:600]


def run(program, arguments, env):
    """Returns what found the fault, or nothing."""
    env = dict(os.environ, **env)
    try:
        ran = subprocess.run([str(program), *arguments, "--failures-at-most", "1"], capture_output=True, text=True,
                             errors="replace", timeout=600, env=env)
    except subprocess.TimeoutExpired:
        return "NOT FOUND: no end after 600 s"
    if ran.returncode == 0: return ""
    case = re.search(r'case "([^"]*)"', ran.stdout)
    seed = re.search(r"seed (\d+)", ran.stdout)
    if "--idle" in arguments: return "found: idle day"
    if case: return f'found: case "{case.group(1)}"'
    if "--cases" in arguments: return f"found: cases, ended by signal {-ran.returncode}"
    if seed: return f"found: {seed.group(1)}"
    # Something that prints no seed has ended it: in which seed?
    first = int(arguments[arguments.index("--from") + 1]) if "--from" in arguments else 1
    for n in range(first, first + int(arguments[1])):
        if subprocess.run([str(program), "--seed", str(n)], capture_output=True, timeout=600, env=env).returncode != 0:
            return f"found: {n}"
    return f"found: ended by signal {-ran.returncode}"


def find(program, seeds, env={}):
    """A few seeds, what is laid down, the day without a call, and all other seeds."""
    few = min(seeds, 80)
    for arguments in (["--seeds", str(few)], ["--cases"], ["--idle"], ["--seeds", str(seeds - few), "--from", str(few + 1)]):
        if arguments[:2] == ["--seeds", "0"]: continue
        if result := run(program, arguments, env): return result
    return f"NOT FOUND in {seeds} seeds, the cases and the idle day"


def try_fault(fault, seeds, compiler, base):
    name, file, old, new = fault
    with tempfile.TemporaryDirectory(prefix="rpch-mutate-") as folder:
        where = pathlib.Path(folder)
        shutil.copytree(ROOT / "include", where / "include")
        target = where / "include/rpch/channel" / file
        target.write_text(target.read_text().replace(old, new))
        machine, fast = target.stem, ("-O0", "-include", str(base / "pch.hpp"))
        if wrong := compile_unit(compiler, machine_unit(machine), where / "include", where / "own.o", fast): return name, wrong
        if wrong := link(compiler, base, {machine: where / "own.o"}, where / "rpch-sim"): return name, wrong
        return name, find(where / "rpch-sim", seeds)


def build_rows(where, base, compiler):
    """Builds the simulator in which RPCH_SIM_FAULT chooses a row."""
    shutil.copytree(ROOT / "include", where / "include")
    put_switch(where)
    own = {machine: where / f"{machine}.o" for machine in MACHINES}
    for machine, out in own.items():
        if wrong := compile_unit(compiler, machine_unit(machine), where / "include", out): sys.exit(wrong)
    if wrong := link(compiler, base, own, where / "rpch-sim"): sys.exit(wrong)
    return where / "rpch-sim"


def lacking():
    """Returns what has no fault: rows of the tables, events and deadlines; and faults that no list names."""
    out, role, is_event = [], "", False
    faults = {f[0] for f in FAULTS} | {name for name, _ in row_faults()}
    for line in (ROOT / "docs/state-machines.md").read_text().splitlines():
        if line.startswith("## "): role = line[3:]
        cells = [c.strip() for c in line.strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            is_event = False
        elif cells[:2] == ["state", "event"] or cells[0] == "setting":
            is_event = True
        elif is_event and not cells[0].startswith("---") and (role, *cells[:2]) not in COVERED:
            out.append(f"no fault for {role}: {cells[0]}, {cells[1]}")
    for what, names in COVERED.items():
        out += [f"{what}: there is no fault \"{n}\"" for n in names if n not in faults]
        if all(n in UNSEEN for n in names): out.append(f"{what}: no fault that can be found")
    for table, i, state, leg, shape, effect, to, what in rows_of_tables():
        own = [n for n, where in row_faults() if where.startswith(f"{table} {i} ")]
        if not own or all(n in UNSEEN for n in own): out.append(f"{table}, {state}, {what} on {leg}: no fault that can be found")
    out += [f"there is no fault \"{n}\"" for n in UNSEEN if n not in faults]
    listed = (ROOT / "tests/sim/README.md").read_text()
    out += [f"tests/sim/README.md does not list \"{f[0]}\"" for f in FAULTS if f"| {f[0]} |" not in listed]
    return out


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
        if wrong := lacking():
            print("\n".join(wrong), file=sys.stderr)
            return 2
        print(f"{len(FAULTS)} faults apply, and {len(row_faults())} of rows")
        return 0
    chosen = [f for f in FAULTS if not given.names or any(n in f[0] for n in given.names)]
    results = []
    rows = [r for r in row_faults() if not given.names or any(n in r[0] for n in given.names)]
    with tempfile.TemporaryDirectory(prefix="rpch-mutate-") as folder, concurrent.futures.ThreadPoolExecutor(given.jobs) as pool:
        base, own = pathlib.Path(folder), pathlib.Path(folder) / "rows"
        own.mkdir()
        build_base(base, given.compiler)
        program = build_rows(own, base, given.compiler) if rows else None
        tried = [pool.submit(try_fault, f, given.seeds, given.compiler, base) for f in chosen]
        tried += [pool.submit(lambda r: (r[0], find(program, given.seeds, {"RPCH_SIM_FAULT": r[1]})), r) for r in rows]
        for name, result in (each.result() for each in tried):
            print(f"{name}: {result}", flush=True)
            results.append((name, result))
    missed = [name for name, result in results if not result.startswith("found") and name not in UNSEEN]
    print("\n| fault | found by |\n| --- | --- |")
    for name, result in results:
        unseen = name in UNSEEN and not result.startswith("found")
        print(f"| {name} | {'is not found: ' + UNSEEN[name] if unseen else result.removeprefix('found: ')} |")
    print(f"\n{len(missed)} of {len(results)} faults were missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
