// What a man in the middle can reach although signatures hold: fields that no signature covers, and
// calls that never end as planned.
#include <rpch/dcerpc/verification_trailer.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include <doctest/doctest.h>

#include "tests/unit/dcerpc/ntlm_ends.hpp"

using namespace rpch;
using namespace test::secured;

namespace {

void strip_header_signing(test::bytes& pdu) {
    if (!pdu.empty() && peek_type(pdu) == pdu_type::bind) pdu[3] &= ~std::byte{4};
}

void swap_interface(test::bytes& pdu) {
    if (!pdu.empty() && peek_type(pdu) == pdu_type::bind)
        other.id.encode(byte_span(pdu).subspan<32, 16>(), core::byte_order::little);
}

struct flips {
    std::size_t size = 1; ///< Of the PDU.
    /// Offsets at which a flip was taken for what was sent: the call went through.
    std::vector<std::size_t> not_found{};
    int left_open = 0; ///< Flips that were found and did not end the connection.
};

/// Flips each bit of the second call's request or response, in a connection of its own each.
flips flip_each_bit(const settings& with, const secured_with& secure, level l, bool of_request) {
    flips out;
    for (std::size_t bit = 0; bit < out.size * 8; ++bit) {
        pair p(with);
        REQUIRE(p.client.add_context(test::rpcecho) == 0);
        const auto id = secure(p, l);
        p.call(id, test::pattern(40)); // also proves what the bind could not
        p.run();
        REQUIRE(p.client_events<call_completed>().size() == 1);
        const auto flip = [&](test::bytes& pdu) {
            out.size = pdu.size();
            pdu[bit / 8] ^= std::byte{1} << bit % 8;
        };
        (of_request ? p.to_server : p.to_client) = flip;
        p.call(id, test::pattern(37));
        p.run();
        const bool passed =
            of_request ? p.received() == 2 : p.client_events<call_completed>().size() == 2;
        if (!passed)
            out.left_open += (of_request ? p.server.closed_with() : p.client.closed_with()) ? 0 : 1;
        else if (out.not_found.empty() || out.not_found.back() != bit / 8)
            out.not_found.push_back(bit / 8);
    }
    CHECK(out.size >= 24 + 37 + 3 + 8 + 16);
    return out;
}

/// auth_pad_length of a PDU that has a sec_trailer.
std::byte& pad_length(test::bytes& pdu) {
    const auto token = core::load<std::uint16_t>(pdu.data() + 10, core::byte_order::little);
    return pdu[pdu.size() - token - 8 + 2];
}

} // namespace

TEST_CASE("tampering: every flipped bit of a PDU that NTLM protects is found") {
    const ntlm_ends ntlm;
    const auto secure = [&](pair& p, level l) { return ntlm.secure(p, l); };
    for (const level l : {level::packet, level::integrity, level::privacy})
        for (const bool of_request : {true, false}) {
            CAPTURE(l);
            CAPTURE(of_request);
            const flips done = flip_each_bit(ntlm.with(), secure, l, of_request);
            CHECK(done.not_found.empty());
            CHECK(done.left_open == 0);
        }
}

namespace {

/// Gives PDUs of one direction back to who sent them.
void give_back(const ntlm_ends& ntlm, level l, bool agreed, std::size_t calls_before,
               std::optional<pdu_type> as) {
    settings with = ntlm.with();
    with.client.header_signing = with.client.verification_trailers = agreed;
    const auto fresh = [&] {
        auto p = std::make_unique<pair>(with);
        REQUIRE(p->client.add_context(test::rpcecho) == 0);
        const auto id = ntlm.secure(*p, l);
        for (std::size_t i = 0; i < calls_before; ++i) p->call(id, test::pattern(40));
        p->run();
        CHECK(p->client_events<call_completed>().size() == calls_before);
        p->call(id, test::pattern(40));
        return p;
    };
    const auto changed = [&](test::bytes pdu) {
        if (as) pdu[2] = static_cast<std::byte>(*as);
        return pdu;
    };
    { // its own request, in place of the answer
        const auto p = fresh();
        const auto own = test::next_output(p->client);
        REQUIRE(is_request(own));
        const auto why = as == pdu_type::response ? errc::bad_signature : errc::unexpected_pdu;
        CHECK(p->client.on_pdu(changed(own), p->told_client) == why);
        CHECK(p->client.closed_with() == why);
        CHECK(p->client_events<call_completed>().size() == calls_before);
        REQUIRE(p->client_events<call_failed>().size() == 1);
        CHECK_FALSE(p->client_events<call_failed>()[0].did_not_execute); // who knows
    }
    { // its own answer, as a further request
        const auto p = fresh();
        test::bytes own;
        p->to_client = [&](test::bytes& pdu) { own = pdu; };
        p->run();
        REQUIRE(is_response(own));
        CHECK(p->client_events<call_completed>().size() == calls_before + 1);
        const auto why = as == pdu_type::request ? errc::bad_signature : errc::unexpected_pdu;
        CHECK(p->server.on_pdu(changed(own), p->told_server) == why);
        CHECK(p->server.closed_with() == why);
        CHECK(p->received() == calls_before + 1);
    }
}

} // namespace

// Both directions count from 0. What tells them apart are their keys, [MS-NLMP] 3.4.5.2
// and 3.4.5.3, and the PDU type, which NTLM signs with the header; either would do.
TEST_CASE("tampering: what NTLM protected is refused by the end that sent it") {
    const ntlm_ends ntlm;
    for (const level l : {level::packet, level::integrity, level::privacy})
        for (const bool agreed : {true, false})
            for (const std::size_t calls_before : {0U, 1U, 5U})
                for (const std::optional<pdu_type> as :
                     {std::optional<pdu_type>{}, std::optional{pdu_type::response},
                      std::optional{pdu_type::request}}) {
                    CAPTURE(l);
                    CAPTURE(agreed);
                    CAPTURE(calls_before);
                    CAPTURE(as.has_value());
                    give_back(ntlm, l, agreed, calls_before, as);
                }
}

// A mechanism that does not sign headers covers the stub data and their padding, [MS-RPCE]
// 3.3.1.5.2.2 and [C706] 13.2.6. The header of a request is as good as its verification trailer,
// [MS-RPCE] 2.2.2.13; a response has none.
TEST_CASE("tampering: without header signing every flipped bit of stub and signature is found, and "
          "of the headers what is not is known") {
    const auto secure = [](pair& p, level l) { return p.secure(l); };
    settings with;
    for (const level l : {level::packet, level::integrity, level::privacy})
        for (const bool of_request : {true, false}) {
            CAPTURE(l);
            CAPTURE(of_request);
            with.client_rules.can_sign_headers = with.server_rules.can_sign_headers = false;
            const flips done = flip_each_bit(with, secure, l, of_request);
            const std::size_t trailer = done.size - 8 - (l == level::privacy ? 20 : 16);
            std::vector<std::size_t> expected{
                1,             // rpc_vers_minor: 0 and 1 are the same
                3,             // flags that mean nothing here
                4,  5,  6,  7, // characters and floats of the data representation
                16, 17, 18, 19 // alloc_hint, which is a hint
            };
            if (!of_request)
                expected.insert(expected.end(), {
                                                    20, 21,     // context_id: calls have an id
                                                    22, 23,     // cancel_count and reserved
                                                    trailer + 2 // auth_pad_length below 16
                                                });
            expected.push_back(trailer + 3); // auth_reserved
            CHECK(done.not_found == expected);
            // The same mechanism, with header signing.
            with.client_rules.can_sign_headers = with.server_rules.can_sign_headers = true;
            const flips all = flip_each_bit(with, secure, l, of_request);
            CHECK(all.not_found.empty());
            CHECK(all.left_open == 0);
        }
}

TEST_CASE("tampering: a false auth_pad_length does not take the verification trailer away") {
    for (const level l : {level::integrity, level::privacy})
        for (const int more : {4, 96, -1}) {
            CAPTURE(more);
            pair p;
            p.to_server = [&](test::bytes& pdu) {
                strip_header_signing(pdu);
                if (!is_request(pdu)) return;
                pdu[22] ^= std::byte{1}; // opnum
                pad_length(pdu) = std::byte(std::to_integer<int>(pad_length(pdu)) + more);
            };
            REQUIRE(p.client.add_context(test::rpcecho) == 0);
            p.call(p.secure(l), test::pattern(more < 0 ? 44 : 40));
            p.run();
            CHECK(p.received() == 0);
            CHECK(p.client_events<call_completed>().empty());
            CHECK((p.server.closed_with() == errc::security_downgrade ||
                   p.server.closed_with() == errc::bad_auth_length));
        }
}

TEST_CASE("tampering: stub data that end like a trailer are served where headers are signed") {
    pair p;
    REQUIRE(p.client.add_context(test::rpcecho) == 0);
    const auto id = p.secure(level::integrity);
    p.call(id, test::pattern(40));
    p.run();
    test::bytes stub = test::pattern(40);
    test::bytes trailer;
    append(trailer, {.supports_header_signing = true});
    stub.insert(stub.end(), trailer.begin(), trailer.begin() + 8); // its signature alone
    p.call(id, stub);
    p.run();
    CHECK_FALSE(p.server.closed_with());
    CHECK(p.last_received().stub == stub);
}

TEST_CASE("tampering: what the bind cannot prove is told again after a call that was refused") {
    pair p;
    int requests = 0;
    p.to_server = [&](test::bytes& pdu) {
        strip_header_signing(pdu);
        swap_interface(pdu);
        if (is_request(pdu) && ++requests == 1) pdu[20] = std::byte{0x55}; // no such context
    };
    REQUIRE(p.client.add_context(test::rpcecho) == 0);
    const auto id = p.secure(level::integrity);
    p.call(id, test::pattern(40));
    p.run();
    REQUIRE(p.client_events<call_failed>().size() == 1);
    REQUIRE_FALSE(p.server.closed_with());
    p.call(id, test::pattern(40));
    p.run();
    CHECK(p.received() == 0);
    CHECK(p.server.closed_with() == errc::security_downgrade);
}

TEST_CASE("tampering: what the bind cannot prove is told again after a call that was cancelled") {
    for (const bool strips : {true, false}) {
        CAPTURE(strips);
        pair p;
        p.to_server = [&](test::bytes& pdu) {
            if (strips) strip_header_signing(pdu);
            swap_interface(pdu);
        };
        REQUIRE(p.client.add_context(test::rpcecho) == 0);
        const auto id = p.secure(level::privacy);
        p.run();
        p.client.cancel(p.call(id, test::pattern(40)), p.told_client);
        p.call(id, test::pattern(40));
        p.run();
        CHECK(p.received() == 0);
        CHECK(p.server.closed_with() == errc::security_downgrade);
    }
}

TEST_CASE("tampering: once a call was answered, the next ones go without a trailer") {
    pair p;
    REQUIRE(p.client.add_context(test::rpcecho) == 0);
    const auto id = p.secure(level::integrity);
    p.run();
    p.seen.clear();
    for (int i = 0; i < 3; ++i) {
        p.call(id, test::pattern(40));
        p.run();
    }
    REQUIRE(p.seen.size() == 3);
    CHECK(p.seen[0].size() > p.seen[1].size());
    CHECK(p.seen[1].size() == p.seen[2].size());
}

TEST_CASE("tampering: a call whose security context fails while it waits for its interface ends") {
    settings s;
    s.client_rules.legs = s.server_rules.legs = 4;
    pair p(s);
    REQUIRE(p.client.add_context(test::rpcecho) == 0);
    const auto id = p.secure(level::integrity);
    int alters = 0;
    p.to_server = [&](test::bytes& pdu) {
        if (pdu.empty() || peek_type(pdu) != pdu_type::alter_context) return;
        const auto call_id = decode_common_header(pdu)->call_id;
        pdu.clear();
        if (++alters == 1) { // a leg: refused, and the connection stays
            REQUIRE(p.client.add_context(other) == 1);
            p.call(id, test::pattern(8), 1);
            fault f;
            f.header = {.flags = test::whole, .call_id = call_id};
            f.status = rpc_status::access_denied;
            CHECK_FALSE(p.client.on_pdu(test::encoded(f), p.told_client));
        } else { // the other interface: accepted
            bind_ack ack;
            ack.header = {.flags = test::whole, .call_id = call_id};
            ack.max_xmit_frag = ack.max_recv_frag = 5840;
            ack.assoc_group_id = 7;
            ack.results.push_back({context_answer::acceptance, 0, ndr20});
            CHECK_FALSE(
                p.client.on_pdu(test::encoded(ack, pdu_type::alter_context_resp), p.told_client));
        }
    };
    p.run();
    REQUIRE(alters == 2);
    REQUIRE(p.client_events<call_failed>().size() == 1);
    CHECK(p.client_events<call_failed>()[0].error == errc::authentication_failed);
    CHECK(p.client_events<call_failed>()[0].did_not_execute);
    CHECK(p.client.calls() == 0);
}

TEST_CASE("tampering: handshakes that fail in auth3 are few, and leave nothing behind") {
    settings s;
    s.server_rules.alive = std::make_shared<int>();
    const auto alive = [&] { return s.server_rules.alive.use_count(); };
    pair p(s);
    const auto before = alive();
    bind b;
    b.header = {.flags = test::whole};
    b.max_xmit_frag = b.max_recv_frag = 5840;
    b.contexts = {{0, test::rpcecho, {ndr20}}};
    std::size_t failed = 0;
    for (std::uint32_t i = 1; i < 100; ++i) {
        const auto token =
            test::bytes{std::byte{1},   std::byte{'s'}, std::byte{'e'}, std::byte{'s'},
                        std::byte{'a'}, std::byte{'m'}, std::byte{'e'}};
        b.header.call_id = i;
        b.auth = {.auth_type = 10, .auth_level = 6, .context_id = i, .token = token};
        const auto begin = test::encoded(b, i == 1 ? pdu_type::bind : pdu_type::alter_context);
        if (p.server.on_pdu(begin, p.told_server)) break;
        while (p.server.has_output()) test::next_output(p.server);
        auth3 last;
        last.header = {.flags = test::whole, .call_id = i};
        last.auth = *b.auth; // the first leg once more
        REQUIRE_FALSE(p.server.on_pdu(test::encoded(last), p.told_server));
        CHECK(alive() == before);
        ++failed;
    }
    CHECK(failed == limits::failed_handshakes_max);
    CHECK(p.server.closed_with() == errc::too_many);
}
