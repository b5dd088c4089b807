#include <rpch/rts/pdus.hpp>

#include <set>
#include <type_traits>

#include <doctest/doctest.h>

#include <rpch/rts/codec.hpp>

#include "vectors.hpp"

using namespace rpch;
using namespace rpch::rts;

namespace {

// The values of the vector files.
cookie cookie_from(unsigned first) {
    cookie out;
    for (std::byte& b : out.bytes) b = static_cast<std::byte>(first++);
    return out;
}
const cookie vc = cookie_from(0xA0);
const cookie in = cookie_from(0xB0);
const cookie out = cookie_from(0xC0);
const cookie in2 = cookie_from(0xD0);
const cookie out2 = cookie_from(0xE0);
const cookie group = cookie_from(0xF0);

client_address ipv4() {
    client_address a{.family = address_family::ipv4};
    const auto octets = test::hex("c000020a");
    std::ranges::copy(octets, a.octets.begin());
    return a;
}
client_address ipv6() {
    client_address a{.family = address_family::ipv6};
    const auto octets = test::hex("20010db8000000000000000000000010");
    std::ranges::copy(octets, a.octets.begin());
    return a;
}

/// Checks a PDU by its name: its struct, its bytes, and both ways between them.
template <class T>
void check_pdu(const std::string& pdu_name, const T& value) {
    CAPTURE(pdu_name);
    const auto row = test::rts_vector("pdus.tsv", pdu_name);
    const auto bytes = test::hex(row[4]);
    const wire encoded = encode(value);
    CHECK(core::to_hex(encoded.view()) == row[4]);
    const auto decoded = decode_as<T>(bytes);
    REQUIRE(decoded);
    CHECK(*decoded == value);
    const auto turned = decode_as<T>(test::hex(test::rts_vector("big_endian.tsv", pdu_name)[4]));
    REQUIRE(turned);
    CHECK(*turned == value);
}

} // namespace

TEST_CASE("RTS PDUs: every PDU of the vectors has its struct, and both are the same") {
    std::set<std::string> seen;
    const auto check = [&seen](const std::string& pdu_name, const auto& value) {
        check_pdu(pdu_name, value);
        seen.insert(pdu_name);
    };

    check("CONN/A1", conn_a1{1, vc, out, 65536});
    check("CONN/A2", conn_a2{1, vc, out, 805306368, 81920});
    check("CONN/A3", conn_a3{240000});
    check("CONN/B1", conn_b1{1, vc, in, 1073741824, 300000, group});
    check("CONN/B2", conn_b2{1, vc, in, 73728, 120000, group, ipv4()});
    check("CONN/B3", conn_b3{90112, 1});
    check("CONN/C1", conn_c1{1, 73728, 120000});
    check("CONN/C2", conn_c2{1, 73728, 120000});

    check("IN_R1/A1", in_r1_a1{1, vc, in, in2});
    check("IN_R1/A2", in_r1_a2{1, vc, in, in2, 98304, 180000});
    check("IN_R1/A3", in_r1_a3{destination::client, 1, 98304, 180000});
    check("IN_R1/A4", in_r1_a4{destination::client, 1, 98304, 180000});
    check("IN_R1/A5", in_r1_a5{in2});
    check("IN_R1/A6", in_r1_a6{in2});
    check("IN_R1/B1", in_r1_b1{});
    check("IN_R1/B2", in_r1_b2{90112});
    check("IN_R2/A1", in_r2_a1{1, vc, in, in2});
    check("IN_R2/A2", in_r2_a2{in2});
    check("IN_R2/A3", in_r2_a3{destination::client});
    check("IN_R2/A4", in_r2_a4{destination::client});
    check("IN_R2/A5", in_r2_a5{in2});

    check("OUT_R1/A1", out_r1_a1{destination::client});
    check("OUT_R1/A2", out_r1_a2{destination::client});
    check("OUT_R1/A3", out_r1_a3{1, vc, out, out2, 65536});
    check("OUT_R1/A4", out_r1_a4{1, vc, out, out2, 536870912, 106496, 300000});
    check("OUT_R1/A5", out_r1_a5{destination::client, 1, 300000});
    check("OUT_R1/A6", out_r1_a6{destination::client, 1, 300000});
    check("OUT_R1/A7", out_r1_a7{destination::server, out2});
    check("OUT_R1/A8", out_r1_a8{destination::server, out2});
    check("OUT_R1/A9", out_r1_a9{});
    check("OUT_R1/A10", out_r1_a10{});
    check("OUT_R1/A11", out_r1_a11{});
    check("OUT_R2/A1", out_r2_a1{destination::client});
    check("OUT_R2/A2", out_r2_a2{destination::client});
    check("OUT_R2/A3", out_r2_a3{1, vc, out, out2, 65536});
    check("OUT_R2/A4", out_r2_a4{out2});
    check("OUT_R2/A5", out_r2_a5{destination::client});
    check("OUT_R2/A6", out_r2_a6{destination::client});
    check("OUT_R2/A7", out_r2_a7{destination::server, out2, 1});
    check("OUT_R2/A8", out_r2_a8{destination::server, out2});
    check("OUT_R2/B1", out_r2_b1{});
    check("OUT_R2/B2", out_r2_b2{});
    check("OUT_R2/B3", out_r2_b3{});
    check("OUT_R2/C1", out_r2_c1{});

    check("Keep-Alive", keep_alive{300000});
    check("PingTrafficSentNotify", ping_traffic_sent_notify{1040});
    check("Echo", echo{});
    check("Ping", ping{});
    check("FlowControlAck", flow_control_ack{{32914, 65536, in}});
    check("FlowControlAckWithDestination",
          flow_control_ack_with_destination{destination::client, {32914, 65536, in}});

    std::set<std::string> all;
    for (const auto& row : test::rts_vectors("pdus.tsv")) all.insert(row[0]);
    CHECK(seen == all);
}

TEST_CASE("RTS PDUs: the variants of the peers read as what they mean") {
    const auto variant = [](const char* name) {
        return test::hex(test::rts_vector("variants.tsv", name)[4]);
    };
    const auto b2 = [&](const char* name) {
        return decode_as<conn_b2>(variant(name))->client_address;
    };
    CHECK(b2("CONN/B2 (IPv6, text)") == ipv6());
    CHECK(b2("CONN/B2 (IPv4, Windows)") == ipv4());
    CHECK(b2("CONN/B2 (IPv6, Windows by analogy)") == ipv6());
    // Network order where the text says little-endian cannot be seen from the bytes: it reads
    // reversed.
    CHECK(core::to_hex(b2("CONN/B2 (IPv4, network order)").octets) ==
          "0a0200c0000000000000000000000000");
    CHECK(core::to_hex(b2("CONN/B2 (IPv6, network order)").octets) ==
          "100000000000000000000000b80d0120");

    CHECK(decode_as<out_r2_a7>(variant("OUT_R2/A8 (forwarded verbatim)")) ==
          out_r2_a7{destination::server, out2, 1});
    CHECK(decode_as<out_r2_c1>(variant("OUT_R2/C1 (with Padding)")) == out_r2_c1{});
    CHECK(decode_as<keep_alive>(variant("Keep-Alive (0 means 300000)")) == keep_alive{0});
    CHECK(decode_as<flow_control_ack>(variant("FlowControlAck (OUT channel)")) ==
          flow_control_ack{{32914, 65536, out}});
    CHECK(decode_as<flow_control_ack_with_destination>(
              variant("FlowControlAckWithDestination (to outbound proxy)")) ==
          flow_control_ack_with_destination{destination::outbound_proxy, {32914, 65536, out}});
}

TEST_CASE("RTS PDUs: CONN/B2 is written with the address in the layout that was asked for") {
    const auto expect = [](const char* name, const client_address& address, address_layout layout) {
        CAPTURE(name);
        const wire encoded = encode(conn_b2{1, vc, in, 73728, 120000, group, address}, layout);
        CHECK(core::to_hex(encoded.view()) == test::rts_vector("variants.tsv", name)[4]);
    };
    expect("CONN/B2 (IPv6, text)", ipv6(), address_layout::text);
    expect("CONN/B2 (IPv4, Windows)", ipv4(), address_layout::windows);
    expect("CONN/B2 (IPv6, Windows by analogy)", ipv6(), address_layout::windows);
}

TEST_CASE("RTS PDUs: the sizes that Content-Length relies on, 2.1.2.1.2 and 2.1.2.1.6") {
    CHECK(encode(conn_a1{}).size() == 76);
    CHECK(encode(out_r1_a3{}).size() + encode(out_r1_a11{}).size() == 120);
    CHECK(encode(out_r2_a3{}).size() + encode(out_r2_c1{}).size() == 120);
    CHECK(encode(echo{}).size() == 20);
    CHECK(encode(conn_b2{.client_address = ipv6()}).size() == wire::bytes_max);
}

TEST_CASE("RTS PDUs: a PDU of another shape is not taken for the one that was asked for") {
    const wire c2 = encode(conn_c2{});
    CHECK(decode_as<conn_b3>(c2.view()).error() == errc::unexpected_pdu);
    CHECK(decode_as<conn_c1>(c2.view()));
    CHECK(decode_as<conn_b3>(c2.view().first(30)).error() == errc::truncated);
}

TEST_CASE("RTS PDUs: exactly those that the text lists have a destination") {
    for (const auto& row : test::rts_vectors("pdus.tsv")) {
        CAPTURE(row[0]);
        const auto bytes = test::hex(row[4]);
        const auto p = decode(bytes);
        REQUIRE(p);
        const bool listed = row[3].starts_with("13:");
        CHECK(p->has_destination() == listed);
        if (listed)
            CHECK("13:" + std::to_string(static_cast<int>(p->forward_destination())) ==
                  test::split(row[3], ' ')[0]);
    }
}

TEST_CASE("RTS PDUs: what is stored in actions and events is trivial to copy") {
    CHECK(std::is_trivially_copyable_v<wire>);
    CHECK(std::is_trivially_copyable_v<pdu>);
    CHECK(std::is_trivially_copyable_v<conn_b2>);
}
