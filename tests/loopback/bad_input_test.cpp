// What does not follow the protocol ends its own connection with a named error, and nothing else.
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <rpch/http/write.hpp>
#include <rpch/rts/codec.hpp>

#include "tests/support/channel.hpp"
#include "tests/support/raw_peer.hpp"
#include "tests/support/stack.hpp"

namespace {

namespace rts = rpch::rts;
using test::bytes;
using test::raw_peer;

/// Which door of the stack bad bytes knock at.
enum class door { in_channel, out_channel, server, tcp };

raw_peer knock(test::stack& all, door at) {
    raw_peer out(all.io, at == door::server ? all.server_port
                         : at == door::tcp  ? all.tcp_port
                                            : all.proxy_port);
    if (at == door::in_channel) out.send(test::in_head(all.server_port));
    if (at == door::out_channel) out.send(test::out_head(all.server_port, 4096));
    return out;
}

/// @return whether the connection was ended, with a line in the log that holds `why`.
bool refused(test::stack& all, door at, const raw_peer& peer, std::string_view why = {}) {
    if (!all.run_until([&] { return peer.ended(); }, std::chrono::seconds(20))) return false;
    return at == door::server || at == door::tcp
               ? all.server_said("closed", why)
               : (all.proxy_said("ended", why) || all.proxy_said("lost", why));
}

test::stack_options impatient() {
    test::stack_options out;
    // Cut PDUs are refused when their time is over, or when their sender ends.
    out.adjust_proxy = [](rpch::proxy_settings& s) { s.first_pdu_wait = std::chrono::minutes(5); };
    return out;
}

/// A virtual connection made by hand.
struct handmade {
    explicit handmade(test::stack& all, unsigned cookie = 0x51)
        : out(all.io, all.proxy_port), in(all.io, all.proxy_port) {
        vc = test::cookie_of(cookie);
        out_channel = test::cookie_of(cookie + 1);
        in_channel = test::cookie_of(cookie + 2);
        a1 = test::wire_of(rts::conn_a1{1, vc, out_channel, 65536});
        b1 = test::wire_of(
            rts::conn_b1{1, vc, in_channel, 1 << 30, 300'000, test::cookie_of(cookie + 3)});
    }
    /// Sends both heads and first PDUs. @return whether CONN/C2 came.
    bool open(test::stack& all) {
        out.send(test::out_head(all.server_port));
        out.send(a1);
        in.send(test::in_head(all.server_port, 1 << 30));
        in.send(b1);
        return all.run_until([&] { return heard_c2(); }, std::chrono::seconds(20));
    }
    [[nodiscard]] bool heard_c2() const {
        const std::size_t body = out.heard().find("\r\n\r\n");
        return body != std::string::npos && out.heard().size() >= body + 4 + 28 + 44;
    }

    raw_peer out;
    raw_peer in;
    rts::cookie vc;
    rts::cookie out_channel;
    rts::cookie in_channel;
    bytes a1;
    bytes b1;
};

/// A bind for `probe`, context 0, as it stands on the wire.
bytes probe_bind() {
    bytes out =
        test::hex("05000b03100000004800000001000000d016d0160000000001000000000001008cd00d5a"
                  "9b6dd04b9d5c3f6d7a3a0b1101000200045d888aeb1cc9119fe808002b10486002000000");
    return out;
}
/// A request for `probe::echo` of four bytes.
bytes probe_request(std::uint32_t call_id) {
    bytes out = test::hex("05000003100000001c00000000000000040000000000040001020304");
    rpch::core::store(out.data() + 12, call_id, rpch::core::byte_order::little);
    return out;
}

} // namespace

TEST_CASE("Every malformed RTS PDU as the first one is refused at each door, and a running "
          "connection does not notice") {
    test::stack all;
    test::bystander other(all);
    REQUIRE(other.goes_on());
    for (const door at : {door::in_channel, door::out_channel, door::server, door::tcp}) {
        for (const auto& each : test::rts_vectors("malformed.tsv")) {
            CAPTURE(static_cast<int>(at));
            CAPTURE(each.name);
            raw_peer peer = knock(all, at);
            all.proxy_log.clear();
            all.server_log.clear();
            peer.send(each.data);
            peer.shut_send(); // a cut one would be waited for
            CHECK(refused(all, at, peer));
            CHECK(other.goes_on());
        }
    }
    CHECK(all.run_until([&] { return all.server->connections() == 2; }));
}

TEST_CASE("Every well-formed RTS PDU that may not be the first is refused at each door") {
    test::stack all;
    test::bystander other(all);
    for (const door at : {door::in_channel, door::out_channel, door::server, door::tcp}) {
        for (const auto& each : test::rts_vectors("pdus.tsv")) {
            const auto decoded = rts::decode(each.data);
            REQUIRE(decoded);
            const rts::shape kind = decoded->kind();
            if (at == door::in_channel && kind == rts::shape::conn_b1) continue;
            if (at == door::out_channel && kind == rts::shape::conn_a1) continue;
            if (at == door::server && (kind == rts::shape::conn_a2 || kind == rts::shape::conn_b2))
                continue;
            CAPTURE(static_cast<int>(at));
            CAPTURE(each.name);
            raw_peer peer = knock(all, at);
            all.proxy_log.clear();
            all.server_log.clear();
            peer.send(each.data);
            CHECK(refused(all, at, peer));
        }
        CHECK(other.goes_on());
    }
}

TEST_CASE("A first PDU cut anywhere and an end ends the connection") {
    test::stack all(impatient());
    test::bystander other(all);
    const handmade sample(all);
    const bytes a2 =
        test::wire_of(rts::conn_a2{1, test::cookie_of(9), test::cookie_of(8), 1 << 20, 65536});
    for (const door at : {door::in_channel, door::out_channel, door::server}) {
        const bytes& whole = at == door::in_channel    ? sample.b1
                             : at == door::out_channel ? sample.a1
                                                       : a2;
        for (std::size_t n = 0; n < whole.size(); ++n) {
            CAPTURE(static_cast<int>(at));
            CAPTURE(n);
            raw_peer peer = knock(all, at);
            peer.send(bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n)));
            peer.shut_send();
            CHECK(all.run_until([&] { return peer.ended(); }, std::chrono::seconds(20)));
        }
        CHECK(other.goes_on());
    }
}

TEST_CASE("A request head cut anywhere and an end ends the connection") {
    test::stack all(impatient());
    test::bystander other(all);
    const std::string head = test::in_head(all.server_port);
    for (std::size_t n = 0; n < head.size(); n += 3) {
        CAPTURE(n);
        raw_peer peer(all.io, all.proxy_port);
        all.proxy_log.clear();
        peer.send(std::string_view(head).substr(0, n));
        peer.shut_send();
        CHECK(all.run_until([&] { return peer.ended(); }, std::chrono::seconds(20)));
        CHECK(all.proxy_said("HTTP connection of 127.0.0.1 ended") == (n != 0));
    }
    CHECK(other.goes_on());
    CHECK(all.run_until([&] { return all.proxy->connections() == 2; }));
}

TEST_CASE("A whole session works when it arrives byte by byte") {
    test::stack all;
    handmade session(all);
    const auto drip = [&](raw_peer& to, std::string_view text) {
        for (const char c : text) {
            to.send(std::string_view(&c, 1));
            all.run_ready();
        }
    };
    const auto drip_bytes = [&](raw_peer& to, const bytes& data) {
        drip(to, rpch::core::as_text(data));
    };
    drip(session.out, test::out_head(all.server_port));
    drip_bytes(session.out, session.a1);
    drip(session.in, test::in_head(all.server_port));
    drip_bytes(session.in, session.b1);
    REQUIRE(all.run_until([&] { return session.heard_c2(); }));
    const std::size_t opened = session.out.heard().size();
    drip_bytes(session.in, probe_bind());
    REQUIRE(all.run_until([&] { return session.out.heard().size() >= opened + 60; }));
    const std::size_t bound = session.out.heard().size();
    CHECK(session.out.heard()[opened + 2] == 12); // bind_ack
    for (std::uint32_t id = 2; id < 5; ++id) drip_bytes(session.in, probe_request(id));
    REQUIRE(all.run_until([&] { return session.out.heard().size() >= bound + 3 * 28; }));
    CHECK(session.out.heard()[bound + 2] == 2); // response
    CHECK_FALSE(session.out.ended());
}

/// Bytes that impacket sent on one connection, for the server of this stack.
std::string captured(test::stack& all, const std::string& file) {
    std::string out(rpch::core::as_text(test::vector_file(file)));
    const std::string was = "?rpcserver:6001";
    return out.replace(out.find(was), was.size(), "?127.0.0.1:" + std::to_string(all.server_port));
}

TEST_CASE("A captured session of impacket gets its answers when it arrives byte by byte") {
    test::stack all;
    const std::string out_text = captured(all, "http/impacket_none.out.hex");
    const std::string in_text = captured(all, "http/impacket_none.in.hex");
    raw_peer out(all.io, all.proxy_port);
    raw_peer in(all.io, all.proxy_port);
    for (const char c : out_text) {
        out.send(std::string_view(&c, 1));
        all.run_ready();
    }
    for (const char c : in_text) {
        in.send(std::string_view(&c, 1));
        all.run_ready();
    }
    const std::string sum = std::string(rpch::core::as_text(test::hex("2a000000"))); // 41 + 1
    const std::string echoed = in_text.substr(in_text.size() - 64);
    CHECK(all.run_until([&] { return out.heard(echoed); }));
    CHECK(out.heard(sum));
    CHECK(in.heard("100 Continue"));
    CHECK_FALSE(out.ended());
}

TEST_CASE("A captured session of impacket that ends anywhere leaves nothing behind") {
    test::stack all;
    test::bystander other(all);
    const std::string out_text = captured(all, "http/impacket_none.out.hex");
    const std::string in_text = captured(all, "http/impacket_none.in.hex");
    for (std::size_t n = 0; n <= in_text.size(); n += 11) {
        CAPTURE(n);
        raw_peer out(all.io, all.proxy_port);
        raw_peer in(all.io, all.proxy_port);
        out.send(out_text);
        in.send(std::string_view(in_text).substr(0, n));
        all.run_ready();
        if (n % 2 == 0)
            in.shut_send();
        else
            in.reset();
        out.shut_send();
        CHECK(all.run_until([&] { return all.proxy->connections() == 2; }));
    }
    CHECK(all.run_until([&] { return all.server->connections() == 2; }));
    CHECK(other.goes_on(3));
}

TEST_CASE("A half-closed channel ends its virtual connection") {
    test::stack all;
    test::bystander other(all);
    for (const bool in : {false, true}) {
        CAPTURE(in);
        handmade session(all);
        REQUIRE(session.open(all));
        (in ? session.in : session.out).shut_send();
        CHECK(all.run_until([&] { return session.in.ended() && session.out.ended(); }));
        CHECK(all.run_until([&] { return all.server->connections() == 2; }));
    }
    CHECK(other.goes_on(3));
}

TEST_CASE("PDUs in the wrong order end the virtual connection with a named error") {
    test::stack all;
    test::bystander other(all);
    handmade session(all);

    SUBCASE("CONN/A3 from the client on IN") {
        REQUIRE(session.open(all));
        session.in.send(test::wire_of(rts::conn_a3{120'000}));
        CHECK(refused(all, door::in_channel, session.in,
                      make_error_code(rpch::errc::unexpected_pdu).message()));
        CHECK(all.run_until([&] { return session.out.ended(); }));
    }
    SUBCASE("CONN/B1 a second time") {
        REQUIRE(session.open(all));
        session.in.send(session.b1);
        CHECK(refused(all, door::in_channel, session.in,
                      make_error_code(rpch::errc::unexpected_pdu).message()));
    }
    SUBCASE("CONN/A1 on IN") {
        session.in.send(test::in_head(all.server_port));
        session.in.send(session.a1);
        CHECK(refused(all, door::in_channel, session.in,
                      make_error_code(rpch::errc::unexpected_pdu).message()));
    }
    SUBCASE("an RPC PDU before CONN/B1") {
        session.in.send(test::in_head(all.server_port));
        session.in.send(probe_bind());
        CHECK(refused(all, door::in_channel, session.in));
    }
    SUBCASE("an RPC PDU as the body of OUT") {
        session.out.send(test::out_head(all.server_port));
        session.out.send(probe_bind());
        CHECK(refused(all, door::out_channel, session.out));
    }
    SUBCASE("an RPC PDU on the server's port: version 1") {
        raw_peer peer(all.io, all.server_port);
        peer.send(probe_bind());
        CHECK(refused(all, door::server, peer,
                      make_error_code(rpch::errc::v1_not_supported).message()));
    }
    SUBCASE("a second CONN/A2 with a cookie that is in use") {
        REQUIRE(session.open(all));
        raw_peer thief(all.io, all.server_port);
        thief.send(test::wire_of(rts::conn_a2{1, session.vc, session.out_channel, 1 << 20, 65536}));
        CHECK(refused(all, door::server, thief,
                      make_error_code(rpch::errc::cookie_in_use).message()));
        session.in.send(probe_bind()); // and its owner keeps the connection
        const std::size_t before = session.out.heard().size();
        CHECK(all.run_until([&] { return session.out.heard().size() > before; }));
    }
    SUBCASE("a second OUT request with a cookie that is in use") {
        REQUIRE(session.open(all));
        handmade thief(all);
        thief.out.send(test::out_head(all.server_port));
        thief.out.send(thief.a1);
        CHECK(all.run_until([&] { return thief.out.ended(); }));
        CHECK_FALSE(session.out.ended());
    }
    SUBCASE("a request before the bind") {
        REQUIRE(session.open(all));
        session.in.send(probe_request(1));
        CHECK(all.run_until([&] { return session.in.ended() && session.out.ended(); }));
        CHECK(all.server_said("ended"));
    }
    SUBCASE("a FlowControlAck for bytes that nobody sent") {
        REQUIRE(session.open(all));
        session.in.send(test::wire_of(rts::flow_control_ack_with_destination{
            rts::destination::outbound_proxy, {1'000'000, 65536, session.out_channel}}));
        CHECK(all.run_until([&] { return session.in.ended() && session.out.ended(); }));
        CHECK(all.proxy_said(make_error_code(rpch::errc::bad_acknowledgement).message()));
    }
    CHECK(other.goes_on(3));
    CHECK(all.run_until(
        [&] { return all.server->connections() <= 5 && all.proxy->connections() <= 5; }));
}

TEST_CASE("PDUs above their limits are refused before they are read") {
    test::stack all;
    test::bystander other(all);
    const auto claims = [](std::uint16_t size) { // an RTS header that announces `size` bytes
        bytes out = test::hex("0500140310000000000000000000000000000000");
        rpch::core::store(out.data() + 8, size, rpch::core::byte_order::little);
        return out;
    };
    const std::string too_large = make_error_code(rpch::errc::too_large).message();
    for (const door at : {door::in_channel, door::out_channel, door::server}) {
        CAPTURE(static_cast<int>(at));
        raw_peer peer = knock(all, at);
        peer.send(claims(5000)); // and nothing of it comes
        CHECK(refused(all, at, peer, too_large));
    }
    SUBCASE("more bytes than the request's Content-Length") {
        handmade session(all);
        session.in.send(test::in_head(all.server_port, 131'072));
        session.in.send(session.b1);
        session.out.send(test::out_head(all.server_port));
        session.out.send(session.a1);
        REQUIRE(all.run_until([&] { return session.heard_c2(); }));
        bytes large = test::rpc_pdu(60'000);
        for (int i = 0; i < 3; ++i) {
            session.in.send(large);
            all.run_ready();
        }
        CHECK(all.run_until([&] { return session.in.ended(); }));
    }
    CHECK(other.goes_on(3));
}

TEST_CASE("A peer that drips bytes is given up when its time is over") {
    test::stack_options options;
    options.adjust_proxy = [](rpch::proxy_settings& s) {
        s.first_pdu_wait = std::chrono::milliseconds(400);
    };
    options.adjust_server = [](rpch::server_settings& s) {
        s.first_pdu_wait = std::chrono::milliseconds(400);
    };
    test::stack all(options);
    test::bystander other(all);
    raw_peer head(all.io, all.proxy_port);
    raw_peer first = knock(all, door::in_channel);
    raw_peer server(all.io, all.server_port);
    const std::string text = test::in_head(all.server_port);
    const bytes b2 = test::hex("05001403100000007800");
    std::size_t at = 0;
    const bool all_ended = all.run_until([&] {
        if (at < text.size()) head.send(std::string_view(text).substr(at, 1));
        if (at < b2.size()) {
            first.send(bytes{b2[at]});
            server.send(bytes{b2[at]});
        }
        at = at < text.size() / 2 ? at + 1 : text.size();
        return head.ended() && first.ended() && server.ended();
    });
    CHECK(all_ended);
    CHECK(all.proxy_said("no request in time"));
    CHECK(all.server_said(make_error_code(rpch::errc::setup_timeout).message()));
    CHECK(other.goes_on(3));
}

TEST_CASE("Two hundred junk connections at once end, and a running connection does not notice") {
    test::stack_options options;
    options.adjust_proxy = [](rpch::proxy_settings& s) {
        s.first_pdu_wait = std::chrono::seconds(2);
    };
    options.adjust_server = [](rpch::server_settings& s) {
        s.first_pdu_wait = std::chrono::seconds(2);
    };
    test::stack all(options);
    test::bystander other(all);
    std::vector<raw_peer> junk;
    for (unsigned i = 0; i < 200; ++i) {
        junk.emplace_back(all.io, i % 2 == 0 ? all.proxy_port : all.server_port);
        bytes noise = test::pattern(1 + i * 13, i);
        if (i % 5 == 0) junk.back().send(test::in_head(all.server_port));
        if (i % 7 != 0) junk.back().send(noise);
        if (i % 3 == 0) junk.back().shut_send();
        if (i % 11 == 0) junk.back().reset();
        if (i % 16 == 0) all.run_ready();
    }
    CHECK(other.goes_on(5));
    CHECK(all.run_until(
        [&] { return all.server->connections() == 2 && all.proxy->connections() == 2; }));
    CHECK(other.goes_on(5));
}

TEST_CASE(
    "A request that waits for a replacement to end goes with its io_context, its proxy, or the "
    "channel it waits for") {
    enum class end { context, proxy, channel };
    for (const bool front : {false, true}) {
        for (const end how : {end::context, end::proxy, end::channel}) {
            CAPTURE(static_cast<int>(how));
            CAPTURE(front);
            auto all = std::make_unique<test::stack>(test::stack_options{.front_door = front});
            if (front) all->proxy_port = all->front_port;
            auto session = std::make_unique<handmade>(*all);
            REQUIRE(session->open(*all));
            const auto request = [&](unsigned predecessor, unsigned successor) {
                raw_peer out(all->io, all->proxy_port);
                out.send(test::in_head(all->server_port, 1 << 20));
                out.send(
                    test::wire_of(rts::in_r2_a1{.virtual_connection = session->vc,
                                                .predecessor_channel = test::cookie_of(predecessor),
                                                .successor_channel = test::cookie_of(successor)}));
                return out;
            };
            std::vector<raw_peer> peers;
            peers.push_back(request(0x53, 0x61));
            const std::size_t before = session->out.heard().size();
            REQUIRE(all->run_until([&] { return session->out.heard().size() > before; })); // A4
            peers.push_back(request(0x61, 0x62)); // A5 is still to come
            all->run_until([] { return false; }, std::chrono::milliseconds(50));
            CHECK(!peers[1].ended());
            if (how == end::context) {
                peers.clear(); // their sockets go first; nothing runs any more
                session.reset();
                all.reset();
                continue;
            }
            if (how == end::proxy && !front)
                all->proxy->close();
            else if (how == end::proxy)
                all->server->close();
            else
                session->in.reset();
            CHECK(all->run_until([&] { return peers[0].ended() && peers[1].ended(); },
                                 std::chrono::seconds(5)));
            CHECK(all->run_until(
                [&] { return all->proxy->connections() == 0 && all->server->connections() == 0; }));
        }
    }
}
