// Fragments at the limits: of exactly the largest size at every level, and a million of them.
#include <doctest/doctest.h>

#include "tests/unit/dcerpc/ntlm_ends.hpp"

using namespace rpch;
using namespace test::secured;

namespace {

constexpr int million = 1'000'000;

std::size_t frag_length(const test::bytes& pdu) {
    return core::load<std::uint16_t>(pdu.data() + 8, core::byte_order::little);
}

/// Stub bytes of a request or response; its trailer's padding does not count.
std::size_t stub_bytes(const test::bytes& pdu) {
    const std::size_t token = core::load<std::uint16_t>(pdu.data() + 10, core::byte_order::little);
    if (token == 0) return pdu.size() - 24;
    const auto pad = std::to_integer<std::size_t>(pdu[pdu.size() - token - 8 + 2]);
    return pdu.size() - 24 - 8 - token - pad;
}

test::bytes request_fragment(std::size_t stub, std::uint8_t flags) {
    const test::bytes data = test::pattern(stub);
    request r;
    r.header = {.flags = flags, .call_id = 1};
    r.stub = data;
    return test::encoded(r);
}

/// Sends a call of a million fragments by hand, and one more that ends it.
/// @return how many the server took.
int send_million(pair& p, std::size_t stub) {
    REQUIRE(p.client.add_context(test::rpcecho) == 0);
    p.run();
    auto pdu = request_fragment(stub, pfc::first_frag);
    for (int i = 0; i < million; ++i) {
        if (p.server.on_pdu(pdu, p.told_server)) return i;
        pdu[3] = std::byte{0};
    }
    pdu[3] = std::byte{pfc::last_frag};
    return p.server.on_pdu(pdu, p.told_server) ? million : million + 1;
}

/// Calls whose stub data fill one fragment and two, one byte less and one more.
/// @return stub bytes of the largest fragment.
std::size_t fill_fragments(settings s, level l, bool headers, const secured_with& secure) {
    s.client.header_signing = headers;
    s.client.verification_trailers = headers; // else one goes with every call
    pair p(s);
    REQUIRE(p.client.add_context(test::rpcecho) == 0);
    const auto id = l == level::none ? 0 : secure(p, l);
    p.call(id, {}); // the verification trailer goes with it
    p.run();

    // What the largest fragment holds, as the first of a large call shows.
    p.seen.clear();
    p.call(id, test::pattern(20'000));
    p.run();
    const std::size_t most = stub_bytes(p.seen.at(0));
    CHECK(frag_length(p.seen[0]) <= 5840);
    CHECK(frag_length(p.seen[0]) > 5840 - 16); // what is signed is whole blocks of 16
    for (const std::size_t n : {most - 1, most, most + 1, 2 * most - 1, 2 * most, 2 * most + 1}) {
        CAPTURE(n);
        p.seen.clear();
        std::vector<std::size_t> back;
        p.to_client = [&](test::bytes& pdu) {
            CHECK(frag_length(pdu) == pdu.size());
            if (is_response(pdu)) back.push_back(stub_bytes(pdu));
        };
        const auto stub = test::pattern(static_cast<unsigned>(n));
        p.call(id, stub);
        p.run();
        const std::size_t fragments = (n + most - 1) / most;
        REQUIRE(p.seen.size() == fragments);
        REQUIRE(back.size() == fragments);
        for (std::size_t i = 0; i < fragments; ++i) {
            const std::size_t expected = std::min(most, n - i * most);
            CHECK(frag_length(p.seen[i]) <= 5840);
            CHECK(stub_bytes(p.seen[i]) == expected);
            CHECK(back[i] == expected);
        }
        CHECK(p.last_received().stub == stub);
        CHECK(p.client_events<call_completed>().back().stub == stub);
    }
    CHECK_FALSE(p.client.closed_with());
    CHECK_FALSE(p.server.closed_with());
    return most;
}

} // namespace

TEST_CASE("fragments: exactly the largest, one byte less and one more, at every level") {
    for (const level l :
         {level::none, level::connect, level::packet, level::integrity, level::privacy})
        for (const bool headers : {true, false}) {
            CAPTURE(static_cast<int>(l));
            fill_fragments({}, l, headers, [](pair& p, level at) { return p.secure(at); });
        }
}

TEST_CASE("fragments: exactly the largest, one byte less and one more, with NTLM") {
    const ntlm_ends ntlm;
    for (const level l : {level::connect, level::packet, level::integrity, level::privacy})
        for (const bool headers : {true, false}) {
            CAPTURE(static_cast<int>(l));
            const std::size_t most = fill_fragments(
                ntlm.with(), l, headers, [&](pair& p, level at) { return ntlm.secure(p, at); });
            // 24 bytes of header, 8 of sec_trailer, 16 of signature; nothing is left over.
            if (auth::signs(l)) CHECK(most == 5840 - 24 - 8 - 16);
        }
}

TEST_CASE("fragments: a call of a million small ones is served within the budget") {
    pair p;
    CHECK(send_million(p, 8) == million + 1);
    REQUIRE(p.received() == 1);
    CHECK(p.last_received().stub.size() == std::size_t{8} * (million + 1));
}

TEST_CASE("fragments: a call of a million empty ones costs nothing and ends") {
    pair p;
    CHECK(send_million(p, 0) == million + 1);
    REQUIRE(p.received() == 1);
    CHECK(p.last_received().stub.empty());
}

TEST_CASE("fragments: a call of a million large ones ends with its budget") {
    settings s;
    s.server.limits.call_bytes_max = std::size_t{4} << 20;
    pair p(s);
    CHECK(send_million(p, 5816) == (4 << 20) / 5816);
    CHECK(p.received() == 0);
    CHECK(p.server.closed_with() == errc::too_large);
}

TEST_CASE("fragments: an answer of a million ends with the client's budget") {
    settings s;
    s.client.limits.call_bytes_max = std::size_t{4} << 20;
    pair p(s);
    REQUIRE(p.client.add_context(test::rpcecho) == 0);
    const auto id = p.call(0, {});
    p.run(false);
    const test::bytes data = test::pattern(8);
    response r;
    r.header = {.flags = pfc::first_frag, .call_id = id};
    r.stub = data;
    auto pdu = test::encoded(r);
    int taken = 0;
    while (taken < million && !p.client.on_pdu(pdu, p.told_client)) {
        pdu[3] = std::byte{0};
        ++taken;
    }
    CHECK(taken == (4 << 20) / 8);
    CHECK(p.client.closed_with() == errc::too_large);
    CHECK(p.client.calls() == 0);
}
