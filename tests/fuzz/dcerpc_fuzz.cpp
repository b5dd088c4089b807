// Arbitrary bytes as DCE/RPC PDUs: every decoder, then both association machines with reassembly.
//
// The input is a sequence of PDUs by their own frag_length; what is left over goes to the machines
// as it is. Bytes that follow a PDU choose what the application does next, so that answers, faults,
// cancels and new calls happen between the fragments of the peer.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include <rpch/dcerpc/client_association.hpp>
#include <rpch/dcerpc/server_association.hpp>
#include <rpch/dcerpc/string_binding.hpp>

using namespace rpch;
using namespace rpch::dcerpc;

namespace {

constexpr interface_id rpcecho{"60a15ec5-4de8-11d7-a637-005056a20182", 1, 0};

void require(bool holds) {
    if (!holds) std::abort();
}

// What decodes must encode, and decode again to PDUs of the same length.
template <class Pdu, class Encode>
void encode_again(const result<Pdu>& p, Encode encode) {
    if (!p) return;
    std::vector<std::byte> out(encoded_size(*p));
    const std::size_t n = encode(*p, byte_span(out));
    require(n == out.size() || out.size() > 0xFFFF);
}

void decode_all(byte_view pdu) {
    encode_again(decode_request(pdu),
                 [](const auto& p, auto out) { return encode_request(p, out); });
    encode_again(decode_response(pdu),
                 [](const auto& p, auto out) { return encode_response(p, out); });
    encode_again(decode_fault(pdu), [](const auto& p, auto out) { return encode_fault(p, out); });
    encode_again(decode_bind(pdu), [](const auto& p, auto out) { return encode_bind(p, out); });
    encode_again(decode_bind_ack(pdu),
                 [](const auto& p, auto out) { return encode_bind_ack(p, out); });
    encode_again(decode_bind_nak(pdu),
                 [](const auto& p, auto out) { return encode_bind_nak(p, out); });
    encode_again(decode_auth3(pdu), [](const auto& p, auto out) { return encode_auth3(p, out); });
    encode_again(decode_shutdown(pdu),
                 [](const auto& p, auto out) { return encode_shutdown(p, out); });
    for (const auto type : {pdu_type::co_cancel, pdu_type::orphaned})
        encode_again(decode_call_notice(pdu, type),
                     [&](const auto& p, auto out) { return encode_call_notice(p, type, out); });
    static_cast<void>(decode_bind(pdu, pdu_type::alter_context));
    static_cast<void>(decode_bind_ack(pdu, pdu_type::alter_context_resp));
}

association_limits small_limits() {
    association_limits l;
    l.call_bytes_max = 4096;
    l.reassembly_bytes_max = 6000;
    l.calls_max = 8;
    l.contexts_max = 4;
    l.contexts_per_interface_max = 2;
    l.control_bytes_max = 1024;
    return l;
}

template <class Machine>
void write_one(Machine& m) {
    require((m.next_output_size() != 0) == m.has_output());
    std::vector<std::byte> out(m.next_output_size());
    require(m.write_output(out) == out.size());
    if (!out.empty()) require(decode_common_header(out)->frag_length == out.size());
}

struct server_side {
    std::vector<offered_interface> offered{{rpcecho, {}}};
    association_groups groups{};
    server_association machine{offered, groups, {.limits = small_limits()}};
    server_event_list events{};
    std::vector<std::uint32_t> executing{};

    void take(byte_view pdu, unsigned choice) {
        events.clear();
        const auto ec = machine.on_pdu(pdu, events);
        require(machine.closed_with() == ec);
        for (const auto& e : events)
            if (const auto* call = std::get_if<call_received>(&e)) {
                require(call->stub.size() <= 4096);
                executing.push_back(call->call_id);
            }
        require(machine.calls() <= 8);
        if (ec) executing.clear();
        if ((choice & 1) != 0 && !executing.empty()) {
            const std::uint32_t id = executing[choice % executing.size()];
            std::erase(executing, id);
            require(!((choice & 2) != 0
                          ? machine.fault(id, rpc_status::nca_fault_ndr)
                          : machine.respond(id, std::vector<std::byte>(choice * 16))));
        }
        for (unsigned i = 0; i < (choice >> 4); ++i) write_one(machine);
    }
};

struct client_side {
    client_association machine{{.limits = small_limits()}};
    client_event_list events{};
    std::vector<std::uint32_t> pending{};

    client_side() { static_cast<void>(machine.add_context(rpcecho)); }

    void take(byte_view pdu, unsigned choice) {
        for (unsigned i = 0; i < (choice >> 4); ++i) write_one(machine);
        if ((choice & 1) != 0)
            if (const auto id =
                    machine.begin_call({.opnum = 1}, std::vector<std::byte>(choice * 16)))
                pending.push_back(*id);
        if ((choice & 2) != 0 && !pending.empty()) machine.cancel(pending.front(), events);
        if ((choice & 4) != 0 && !pending.empty()) machine.abandon(pending.back(), events);
        if ((choice & 8) != 0) static_cast<void>(machine.add_context(rpcecho));
        const auto ec = machine.on_pdu(pdu, events);
        require(machine.closed_with() == ec);
        settle();
        if (ec) require(pending.empty());
    }
    // Each call ends once.
    void settle() {
        for (const auto& e : events) {
            std::uint32_t id = 0;
            if (const auto* done = std::get_if<call_completed>(&e)) id = done->call_id;
            if (const auto* lost = std::get_if<call_failed>(&e)) id = lost->call_id;
            if (id != 0) require(std::erase(pending, id) == 1);
        }
        events.clear();
    }
    ~client_side() {
        machine.close(errc::connection_lost, events);
        settle();
        require(pending.empty());
    }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto input = std::as_bytes(std::span(data, size));
    if (const auto b = parse_string_binding(core::as_text(input)))
        require(*parse_string_binding(b->to_string()) == *b);

    server_side server;
    client_side client;
    for (std::size_t at = 0; at < size;) {
        const auto length = peek_frag_length(input.subspan(at));
        std::size_t n = size - at;
        if (length && *length) n = std::min<std::size_t>(n, **length);
        const byte_view pdu = input.subspan(at, n);
        at += n;
        const unsigned choice = at < size ? std::to_integer<unsigned>(input[at++]) : 0xFF;
        decode_all(pdu);
        server.take(pdu, choice);
        client.take(pdu, choice);
    }
    return 0;
}
