// A server that has enough to do leaves the requests of a plain TCP connection unread.
#include <algorithm>
#include <cstdint>
#include <vector>

#include <doctest/doctest.h>

#include <rpch/dcerpc/bind_pdu.hpp>
#include <rpch/dcerpc/call_pdu.hpp>

#include "tests/support/raw_peer.hpp"
#include "tests/support/stack.hpp"

namespace {

namespace dcerpc = rpch::dcerpc;
using test::bytes;
using test::probe;

constexpr std::uint8_t whole = dcerpc::pfc::first_frag | dcerpc::pfc::last_frag;

bytes bind_of_probe() {
    dcerpc::bind p;
    p.header = {.flags = whole | dcerpc::pfc::concurrent_multiplexing, .call_id = 1};
    p.max_xmit_frag = p.max_recv_frag = 5840;
    p.contexts.push_back({0, probe::id, {dcerpc::ndr20}});
    bytes out(encoded_size(p));
    out.resize(encode_bind(p, out));
    return out;
}

bytes request(std::uint32_t call_id, std::uint16_t opnum, std::size_t stub_bytes) {
    const bytes stub(stub_bytes);
    dcerpc::request p;
    p.header = {.flags = whole, .call_id = call_id};
    p.opnum = opnum;
    p.stub = stub;
    bytes out(encoded_size(p));
    out.resize(encode_request(p, out));
    return out;
}

constexpr std::size_t pending_max = 4000;

test::stack_options soon_full() {
    test::stack_options out;
    out.adjust_server = [](rpch::server_settings& s) { s.pending_bytes_max = pending_max; };
    return out;
}

} // namespace

TEST_CASE("Requests that waited are taken one after the other, not one within the other") {
    constexpr std::uint16_t measure = 40;
    constexpr unsigned calls = 4000;
    std::uintptr_t low = UINTPTR_MAX;
    std::uintptr_t high = 0;
    unsigned done = 0;
    auto options = soon_full();
    options.prepare_server = [&](rpch::server& s) {
        s.handle_raw(probe::id, measure,
                     [&](rpch::call_context&, bytes, rpch::core::byte_order, rpch::responder a) {
                         char here = 0;
                         const auto at = reinterpret_cast<std::uintptr_t>(&here);
                         low = std::min(low, at);
                         high = std::max(high, at);
                         ++done;
                         a.respond(bytes(pending_max + 1)); // full until it is sent
                     });
    };
    test::stack all(options);
    test::raw_peer peer(all.io, all.tcp_port);
    peer.send(bind_of_probe());
    bytes many;
    for (std::uint32_t i = 0; i < calls; ++i) {
        const bytes one = request(10 + i, measure, 1);
        many.insert(many.end(), one.begin(), one.end());
    }
    peer.send(many);
    CHECK(all.run_until([&] { return done == calls; }));
    CHECK(high - low < 16 * 1024);
}
