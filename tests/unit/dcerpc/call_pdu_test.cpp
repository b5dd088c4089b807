#include <rpch/dcerpc/call_pdu.hpp>

#include <rpch/limits.hpp>

#include <doctest/doctest.h>

#include "tests/unit/dcerpc/pdus.hpp"

using namespace rpch;
using namespace rpch::dcerpc;
using core::to_hex;

namespace {

const char* const object_text = "01234567-89ab-cdef-0123-456789abcdef";

// Each PDU is cut at every length, with frag_length as it was and with frag_length telling the cut.
template <class Decode>
void refuses_every_cut(const test::bytes& pdu, std::size_t fixed, Decode decode) {
    for (std::size_t n = 0; n < pdu.size(); ++n) {
        CAPTURE(n);
        CHECK(decode(byte_view(pdu).first(n)).error() == errc::truncated);
        if (n < common_header_bytes) continue;
        const auto cut = decode(test::with_length(pdu, n));
        CHECK(cut.has_value() == (n >= fixed));
    }
    auto longer = pdu;
    longer.push_back({});
    CHECK(decode(byte_view(longer)).error() == errc::trailing_bytes);
}

} // namespace

TEST_CASE("request: what Samba and impacket sent decodes, and encodes to the same bytes") {
    for (const std::string peer : {"samba", "impacket"}) {
        CAPTURE(peer);
        const auto wire = test::vector_file("dcerpc/" + peer + "_request_1.hex");
        const auto r = decode_request(wire);
        REQUIRE(r);
        CHECK(r->header.flags == test::whole);
        CHECK(r->header.call_id == (peer == "samba" ? 2 : 1));
        CHECK(r->alloc_hint == 4);
        CHECK(r->context_id == 0);
        CHECK(r->opnum == 0);
        CHECK_FALSE(r->object);
        CHECK_FALSE(r->auth);
        CHECK(to_hex(r->stub) == "29000000");
        CHECK(to_hex(test::encoded(*r)) == to_hex(wire));

        const auto second = test::vector_file("dcerpc/" + peer + "_request_2.hex");
        const auto s = decode_request(second);
        REQUIRE(s);
        CHECK(s->opnum == 1);
        CHECK(s->stub.size() == 72);
        CHECK(to_hex(test::encoded(*s)) == to_hex(second));
    }
}

TEST_CASE("request: both byte orders, with and without an object UUID, byte for byte") {
    const auto little = test::hex("05000083 10000000 2b00 0000 07000000  05000000 0200 0301"
                                  "67452301ab89efcd0123456789abcdef 0a0b0c");
    const auto big = test::hex("05000083 00000000 002b 0000 00000007  00000005 0002 0103"
                               "0123456789abcdef0123456789abcdef 0a0b0c");
    for (const auto& wire : {little, big}) {
        const auto r = decode_request(wire);
        REQUIRE(r);
        CHECK(r->header.call_id == 7);
        CHECK(r->alloc_hint == 5);
        CHECK(r->context_id == 2);
        CHECK(r->opnum == 0x103);
        CHECK(r->object == uuid::parse(object_text));
        CHECK(to_hex(r->stub) == "0a0b0c");
        CHECK(to_hex(test::encoded(*r)) == to_hex(wire));
        refuses_every_cut(wire, 40, [](byte_view pdu) { return decode_request(pdu); });
    }
}

TEST_CASE("request: the object flag follows from the object, not from what the caller put") {
    request r;
    r.header.flags = test::whole | pfc::object_uuid;
    CHECK(std::to_integer<int>(test::encoded(r)[3]) == test::whole);
    r.header.flags = test::whole;
    r.object = uuid{"01234567-89ab-cdef-0123-456789abcdef"};
    CHECK(std::to_integer<int>(test::encoded(r)[3]) == (test::whole | pfc::object_uuid));
}

TEST_CASE("response: both byte orders, byte for byte") {
    for (const auto* text : {"05000203 10000000 1b00 0000 07000000  03000000 0200 01 00 0a0b0c",
                             "05000203 00000000 001b 0000 00000007  00000003 0002 01 00 0a0b0c"}) {
        const auto wire = test::hex(text);
        const auto r = decode_response(wire);
        REQUIRE(r);
        CHECK(r->header.call_id == 7);
        CHECK(r->alloc_hint == 3);
        CHECK(r->context_id == 2);
        CHECK(r->cancel_count == 1);
        CHECK(to_hex(r->stub) == "0a0b0c");
        CHECK(to_hex(test::encoded(*r)) == to_hex(wire));
        refuses_every_cut(wire, 24, [](byte_view pdu) { return decode_response(pdu); });
    }
}

TEST_CASE("fault: both byte orders, byte for byte; the last four octets may be missing") {
    for (const auto* text :
         {"05000323 10000000 2000 0000 07000000  20000000 0200 01 00 0300011c 00000000",
          "05000323 00000000 0020 0000 00000007  00000020 0002 01 00 1c010003 00000000"}) {
        const auto wire = test::hex(text);
        const auto f = decode_fault(wire);
        REQUIRE(f);
        CHECK(f->header.flags == (test::whole | pfc::did_not_execute));
        CHECK(f->context_id == 2);
        CHECK(f->cancel_count == 1);
        CHECK(f->status == rpc_status::nca_unk_if);
        CHECK_FALSE(f->has_extended_error);
        CHECK(f->extended_error.empty());
        CHECK(to_hex(test::encoded(*f)) == to_hex(wire));
        refuses_every_cut(wire, 28, [](byte_view pdu) { return decode_fault(pdu); });
    }
}

TEST_CASE("fault: extended error information is told and kept as a view") {
    const auto wire = test::hex("05000303 10000000 2300 0000 07000000"
                                "23000000 0000 00 01 05000000 00000000 aabbcc");
    const auto f = decode_fault(wire);
    REQUIRE(f);
    CHECK(f->has_extended_error);
    CHECK(to_hex(f->extended_error) == "aabbcc");
}

TEST_CASE("co_cancel and orphaned: a header, in both byte orders") {
    for (const auto* text :
         {"05001203 10000000 1000 0000 07000000", "05001203 00000000 0010 0000 00000007",
          "05001303 10000000 1000 0000 07000000"}) {
        const auto wire = test::hex(text);
        const auto type = peek_type(wire);
        const auto p = decode_call_notice(wire, type);
        REQUIRE(p);
        CHECK(p->header.call_id == 7);
        CHECK(to_hex(test::encoded(*p, type)) == to_hex(wire));
        refuses_every_cut(wire, 16, [&](byte_view pdu) { return decode_call_notice(pdu, type); });
        CHECK(decode_call_notice(test::with_length(wire, 17), type).error() ==
              errc::trailing_bytes);
    }
}

TEST_CASE("every decoder refuses the PDU of another type") {
    const auto wire = test::vector_file("dcerpc/samba_request_1.hex");
    CHECK(decode_response(wire).error() == errc::bad_pdu_type);
    CHECK(decode_fault(wire).error() == errc::bad_pdu_type);
    CHECK(decode_call_notice(wire, pdu_type::co_cancel).error() == errc::bad_pdu_type);
    auto answer = wire;
    answer[2] = std::byte{2};
    CHECK(decode_request(answer).error() == errc::bad_pdu_type);
}

TEST_CASE("verifier: what Samba signed and sealed is split into stub and token") {
    const auto signed_pdu = test::vector_file("dcerpc/samba_ntlm_request_1.hex");
    const auto r = decode_request(signed_pdu);
    REQUIRE(r);
    REQUIRE(r->auth);
    CHECK(r->auth->auth_type == 10); // NTLM
    CHECK(r->auth->auth_level == 5); // integrity
    CHECK(r->auth->context_id == 1);
    CHECK(r->auth->token.size() == 16);
    CHECK(r->auth->pad_length == 12);
    CHECK(r->stub.size() == r->alloc_hint);
    CHECK(r->stub.size() == signed_pdu.size() - 24 - 12 - 8 - 16);
    CHECK(to_hex(test::encoded(*r)).size() == to_hex(signed_pdu).size());

    const auto sealed = test::vector_file("dcerpc/samba_krb5_request_1.hex");
    const auto s = decode_request(sealed);
    REQUIRE(s);
    REQUIRE(s->auth);
    CHECK(s->auth->auth_type == 16); // Kerberos
    CHECK(s->auth->auth_level == 6); // privacy
    CHECK(s->auth->token.size() == 76);
    CHECK(s->stub.size() == s->alloc_hint);
}

TEST_CASE("verifier: encoders pad the stub to 16 bytes and say so") {
    const auto token = test::hex("a1a2a3a4");
    for (std::size_t n = 0; n <= 17; ++n) {
        const auto stub = test::pattern(n);
        request q;
        q.header.flags = test::whole;
        q.stub = stub;
        q.auth = sec_trailer{.auth_type = 10, .auth_level = 5, .context_id = 9, .token = token};
        const auto wire = test::encoded(q);
        CAPTURE(n);
        CHECK(wire.size() == 24 + (n + 15) / 16 * 16 + 8 + 4);
        const auto back = decode_request(wire);
        REQUIRE(back);
        CHECK(to_hex(back->stub) == to_hex(stub));
        CHECK(back->auth->pad_length == (16 - n % 16) % 16);
        CHECK(back->auth->context_id == 9);
        CHECK(to_hex(back->auth->token) == "a1a2a3a4");

        response a;
        a.header.flags = test::whole;
        a.stub = stub;
        a.auth = q.auth;
        const auto answer = test::encoded(a); // decode keeps views into it
        const auto there = decode_response(answer);
        REQUIRE(there);
        CHECK(to_hex(there->stub) == to_hex(stub));
    }
}

TEST_CASE("verifier: lengths that do not fit are refused") {
    // 8 bytes of stub, no padding, 8 of trailer, 4 of token.
    const auto good = test::hex("05000003 10000000 2c00 0400 01000000 08000000 0000 0000"
                                "0102030405060708 0a05 00 00 01000000 a1a2a3a4");
    REQUIRE(decode_request(good));
    auto bad = good;
    bad[34] = std::byte{9}; // more padding than there is stub
    CHECK(decode_request(bad).error() == errc::bad_auth_length);
    bad[34] = std::byte{8};
    REQUIRE(decode_request(bad));
    CHECK(decode_request(bad)->stub.empty());
    bad = good;
    bad[10] = std::byte{13}; // trailer and token reach into the header
    CHECK(decode_request(bad).error() == errc::bad_auth_length);
    bad[10] = std::byte{0xFF};
    bad[11] = std::byte{0xFF};
    CHECK(decode_request(bad).error() == errc::too_large);
    for (std::size_t n = 16; n < good.size(); ++n) {
        CAPTURE(n);
        const auto cut = decode_request(test::with_length(good, n));
        // With fewer bytes than fixed part, trailer and token there is nothing to find.
        if (n < 24 + 12) CHECK_FALSE(cut);
    }
}

TEST_CASE("encode: refuses what does not fit the space or frag_length") {
    const auto stub = test::pattern(65536);
    request r;
    r.stub = byte_view(stub).first(100);
    test::bytes space(123);
    CHECK(encode_request(r, space) == 0);
    space.resize(124);
    CHECK(encode_request(r, space) == 124);
    space.resize(70000);
    r.stub = byte_view(stub).first(65535 - 24);
    CHECK(encode_request(r, space) == 65535);
    r.stub = byte_view(stub).first(65536 - 24);
    CHECK(encode_request(r, space) == 0);
}
