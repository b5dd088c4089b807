#include <rpch/dcerpc/bind_pdu.hpp>

#include <rpch/limits.hpp>

#include <doctest/doctest.h>

#include "tests/unit/dcerpc/pdus.hpp"

using namespace rpch;
using namespace rpch::dcerpc;
using core::to_hex;

TEST_CASE("bind: what impacket sent decodes, and encodes to the same bytes") {
    const auto wire = test::vector_file("dcerpc/impacket_bind.hex");
    const auto b = decode_bind(wire);
    REQUIRE(b);
    CHECK(b->max_xmit_frag == 4280);
    CHECK(b->max_recv_frag == 4280);
    CHECK(b->assoc_group_id == 0);
    REQUIRE(b->contexts.size() == 1);
    CHECK(b->contexts[0].id == 0);
    CHECK(b->contexts[0].interface == test::rpcecho);
    CHECK(b->contexts[0].transfer_syntaxes == std::vector{ndr20});
    CHECK(to_hex(test::encoded(*b)) == to_hex(wire));
}

TEST_CASE("bind: Samba's two contexts, the second a feature negotiation") {
    const auto wire = test::vector_file("dcerpc/samba_bind.hex");
    const auto b = decode_bind(wire);
    REQUIRE(b);
    CHECK(b->max_xmit_frag == 5840);
    REQUIRE(b->contexts.size() == 2);
    CHECK(b->contexts[1].id == 1);
    CHECK(b->contexts[1].interface == test::rpcecho);
    REQUIRE(b->contexts[1].transfer_syntaxes.size() == 1);
    CHECK(features_of(b->contexts[1].transfer_syntaxes[0]) == 3);
    CHECK(b->contexts[1].transfer_syntaxes[0] == feature_syntax(3));
    CHECK_FALSE(features_of(ndr20));
    CHECK(to_hex(test::encoded(*b)) == to_hex(wire));
}

TEST_CASE("bind: Samba's authenticated binds keep their token") {
    const auto ntlm = test::vector_file("dcerpc/samba_ntlm_bind.hex");
    const auto b = decode_bind(ntlm);
    REQUIRE(b);
    REQUIRE(b->auth);
    CHECK(b->auth->auth_type == 10);
    CHECK(b->auth->token.size() == 40);
    CHECK(b->auth->token.data() + 40 == ntlm.data() + ntlm.size());
    CHECK((b->header.flags & pfc::support_header_sign) != 0);
    CHECK(to_hex(test::encoded(*b)) == to_hex(ntlm));

    const auto krb5 = test::vector_file("dcerpc/samba_krb5_bind.hex");
    const auto k = decode_bind(krb5);
    REQUIRE(k);
    CHECK(k->auth->token.size() == 3003);
    CHECK(to_hex(test::encoded(*k)) == to_hex(krb5));
}

TEST_CASE("auth3: Samba's third leg decodes, and encodes to the same bytes") {
    const auto wire = test::vector_file("dcerpc/samba_ntlm_auth3.hex");
    const auto a = decode_auth3(wire);
    REQUIRE(a);
    CHECK(a->auth.token.size() == 436);
    CHECK(to_hex(test::encoded(*a)) == to_hex(wire));
    for (std::size_t n = 0; n < wire.size(); ++n)
        CHECK_FALSE(decode_auth3(byte_view(wire).first(n)));
    CHECK(decode_auth3(test::hex("05001003 10000000 1400 0000 01000000 00000000")).error() ==
          errc::bad_auth_length);
}

TEST_CASE("bind: every cut is refused") {
    for (const auto* name :
         {"dcerpc/impacket_bind.hex", "dcerpc/samba_bind.hex", "dcerpc/samba_ntlm_bind.hex"}) {
        const auto wire = test::vector_file(name);
        for (std::size_t n = 0; n < wire.size(); ++n) {
            CAPTURE(n);
            CHECK(decode_bind(byte_view(wire).first(n)).error() == errc::truncated);
            if (n >= common_header_bytes) CHECK_FALSE(decode_bind(test::with_length(wire, n)));
        }
        auto longer = wire;
        longer.push_back({});
        CHECK(decode_bind(longer).error() == errc::trailing_bytes);
    }
    const auto plain = test::vector_file("dcerpc/impacket_bind.hex");
    CHECK(decode_bind(test::with_length(plain, plain.size() + 1)).error() == errc::trailing_bytes);
}

TEST_CASE("bind: both byte orders, an alter_context too") {
    for (const auto order : {core::byte_order::little, core::byte_order::big})
        for (const auto type : {pdu_type::bind, pdu_type::alter_context}) {
            bind b;
            b.header.order = order;
            b.header.call_id = 0x01020304;
            b.header.flags = test::whole;
            b.max_xmit_frag = 5840;
            b.max_recv_frag = 4280;
            b.assoc_group_id = 0x11223344;
            b.contexts = {
                {0, test::rpcecho, {ndr20, {"71710533-beba-4937-8319-b5dbef9ccc36", 1, 0}}},
                {0x1234, {"12345778-1234-abcd-ef00-0123456789ac", 1, 7}, {ndr20}}};
            const auto wire = test::encoded(b, type);
            REQUIRE(wire.size() == 28 + 24 + 40 + 24 + 20);
            const auto back = decode_bind(wire, type);
            REQUIRE(back);
            CHECK(back->header.call_id == 0x01020304);
            CHECK(back->max_xmit_frag == 5840);
            CHECK(back->max_recv_frag == 4280);
            CHECK(back->assoc_group_id == 0x11223344);
            CHECK(back->contexts == b.contexts);
            CHECK(
                decode_bind(wire, type == pdu_type::bind ? pdu_type::alter_context : pdu_type::bind)
                    .error() == errc::bad_pdu_type);
        }
}

TEST_CASE("bind: the version of an interface is major below minor in one number, by byte order") {
    bind b;
    b.contexts = {{0, {"12345778-1234-abcd-ef00-0123456789ac", 1, 7}, {ndr20}}};
    const auto little = test::encoded(b);
    CHECK(to_hex(byte_view(little).subspan(28 + 4 + 16, 4)) == "01000700");
    b.header.order = core::byte_order::big;
    const auto big = test::encoded(b);
    CHECK(to_hex(byte_view(big).subspan(28 + 4 + 16, 4)) == "00070001");
}

TEST_CASE("bind: no contexts, empty contexts and too many are refused before anything is kept") {
    const auto wire = test::vector_file("dcerpc/impacket_bind.hex");
    auto none = wire;
    none[24] = std::byte{0};
    CHECK(decode_bind(none).error() == errc::bad_value);
    auto empty = wire;
    empty[28 + 2] = std::byte{0};
    CHECK(decode_bind(empty).error() == errc::bad_value);
    auto many = wire;
    for (const std::byte count : {std::byte{2}, std::byte{255}}) {
        many[24] = count;
        CHECK(decode_bind(many).error() == errc::truncated);
    }
    auto syntaxes = wire;
    syntaxes[28 + 2] = std::byte{static_cast<unsigned char>(limits::transfer_syntaxes_max + 1)};
    CHECK(decode_bind(syntaxes).error() == errc::too_many);
    syntaxes[28 + 2] = std::byte{2};
    CHECK(decode_bind(syntaxes).error() == errc::truncated);
}

TEST_CASE("bind_ack: byte for byte, with the port as secondary address") {
    const auto wire = test::hex("05000c13 10000000 5400 0000 01000000 d016 d016 78563412"
                                "0500 3630303100 00" // "6001" with its zero, one byte of padding
                                "02 000000"
                                "0000 0000 045d888aeb1cc9119fe808002b104860 02000000"
                                "0300 0200 00000000000000000000000000000000 00000000");
    const auto a = decode_bind_ack(wire);
    REQUIRE(a);
    CHECK(a->max_xmit_frag == 5840);
    CHECK(a->assoc_group_id == 0x12345678);
    CHECK(a->secondary_address == "6001");
    REQUIRE(a->results.size() == 2);
    CHECK(a->results[0] == context_result{context_answer::acceptance, 0, ndr20});
    CHECK(a->results[1].answer == context_answer::negotiate_ack);
    CHECK(a->results[1].reason == bind_feature::keep_connection_on_orphan);
    CHECK(to_hex(test::encoded(*a)) == to_hex(wire));
    for (std::size_t n = 0; n < wire.size(); ++n) {
        CAPTURE(n);
        CHECK(decode_bind_ack(byte_view(wire).first(n)).error() == errc::truncated);
        if (n >= common_header_bytes) CHECK_FALSE(decode_bind_ack(test::with_length(wire, n)));
    }
    CHECK(decode_bind_ack(test::with_length(wire, wire.size() + 1)).error() ==
          errc::trailing_bytes);
}

TEST_CASE("bind_ack: both byte orders, secondary addresses of every length, with a verifier") {
    const auto token = test::hex("a1a2a3");
    for (const auto order : {core::byte_order::little, core::byte_order::big})
        for (std::size_t n = 0; n < 9; ++n)
            for (const bool secured : {false, true}) {
                const std::string address(n, '7');
                bind_ack a;
                a.header.order = order;
                a.header.flags = test::whole;
                a.max_recv_frag = 4280;
                a.assoc_group_id = 0x11223344;
                a.secondary_address = address;
                a.results = {{context_answer::provider_rejection, 1, {}},
                             {context_answer::acceptance, 0, ndr20}};
                if (secured) a.auth = sec_trailer{.auth_type = 10, .token = token};
                for (const auto type : {pdu_type::bind_ack, pdu_type::alter_context_resp}) {
                    const auto wire = test::encoded(a, type);
                    REQUIRE_FALSE(wire.empty());
                    const auto back = decode_bind_ack(wire, type);
                    REQUIRE(back);
                    CHECK(back->secondary_address == address);
                    CHECK(back->assoc_group_id == 0x11223344);
                    CHECK(back->results == a.results);
                    CHECK(back->auth.has_value() == secured);
                }
            }
}

TEST_CASE("bind_nak: byte for byte; versions and what follows them are not needed") {
    const auto wire = test::hex("05000d03 10000000 1800 0000 01000000 0800 01 0500 000000");
    const auto n = decode_bind_nak(wire);
    REQUIRE(n);
    CHECK(n->reason == bind_reject_reason::authentication_type_not_recognized);
    CHECK(std::string(name(n->reason)) == "bind_nak: authentication_type_not_recognized");
    CHECK(to_hex(test::encoded(*n)) == to_hex(wire));
    CHECK(decode_bind_nak(test::hex("05000d03 00000000 0012 0000 00000001 0002"))->reason ==
          bind_reject_reason::local_limit_exceeded);
    for (std::size_t cut = 0; cut < 18; ++cut) {
        CHECK_FALSE(decode_bind_nak(byte_view(wire).first(cut)));
        if (cut >= 16)
            CHECK(decode_bind_nak(test::with_length(wire, cut)).error() == errc::truncated);
    }
}

TEST_CASE("shutdown: a header and nothing else") {
    const auto wire = test::hex("05001103 10000000 1000 0000 00000000");
    const auto s = decode_shutdown(wire);
    REQUIRE(s);
    CHECK(to_hex(test::encoded(*s)) == to_hex(wire));
    CHECK(decode_shutdown(test::with_length(wire, 17)).error() == errc::trailing_bytes);
    for (std::size_t n = 0; n < 16; ++n) CHECK_FALSE(decode_shutdown(byte_view(wire).first(n)));
}
