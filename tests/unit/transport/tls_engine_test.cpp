#include <rpch/transport/tls_engine.hpp>

#include <random>
#include <thread>

#include <doctest/doctest.h>

#include <rpch/limits.hpp>
#include <rpch/transport/detail/tls_context_state.hpp>

#include "tests/support/certificates.hpp"
#include "tests/support/tls_pair.hpp"

using namespace rpch;
using namespace rpch::transport;
using test::tls_pair;

namespace {

test::splitter random_pieces(unsigned seed) {
    return [engine = std::mt19937(seed)]() mutable {
        return std::uniform_int_distribution<std::size_t>(1, 700)(engine);
    };
}

test::bytes pattern(std::size_t size) {
    test::bytes out(size);
    for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::byte>(i * 31 + i / 251);
    return out;
}

/// Sends all of `data`, however often the output limit stops the writer.
void send_all(test::tls_side& from, test::tls_side& to, byte_view data) {
    while (!data.empty()) {
        const auto [n, status] = from.engine.write(data);
        REQUIRE(status != tls_status::failed);
        REQUIRE(from.engine.output().size() <= limits::tls_output_bytes_max + 17 * 1024);
        data = data.subspan(n);
        to.deliver(from.take_output(), test::unsplit);
    }
}

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

/// Runs a handshake that the client refuses; @return the client's error.
std::error_code refused(const issued_certificate& certificate, std::string_view name,
                        std::string_view detail_part, std::string_view alert) {
    tls_pair pair(test::tls_client(), test::tls_server(certificate), name);
    CHECK_FALSE(pair.run());
    CHECK(pair.client.status == tls_status::failed);
    CHECK_FALSE(pair.client.engine.is_established());
    INFO(pair.client.engine.error_detail());
    CHECK(contains(pair.client.engine.error_detail(), detail_part));
    INFO(pair.server.engine.error_detail());
    CHECK(pair.server.engine.error() == errc::tls_failed);
    CHECK(contains(pair.server.engine.error_detail(), alert));
    return pair.client.engine.error();
}

} // namespace

TEST_CASE("TLS: the handshake needs no particular pieces") {
    SUBCASE("one byte at a time") {
        tls_pair pair(test::tls_client(), test::tls_server());
        CHECK(pair.run([] { return std::size_t{1}; }));
    }
    for (unsigned seed = 0; seed < 10; ++seed) {
        CAPTURE(seed);
        tls_pair pair(test::tls_client(), test::tls_server());
        CHECK(pair.run(random_pieces(seed)));
        CHECK_FALSE(pair.client.engine.error());
        CHECK_FALSE(pair.server.engine.error());
    }
}

TEST_CASE("TLS: both sides agree on what was negotiated") {
    tls_pair pair(test::tls_client(), test::tls_server());
    CHECK(pair.client.engine.cipher_suite().empty());
    REQUIRE(pair.run());
    for (const auto* side : {&pair.client, &pair.server}) {
        CHECK(side->engine.cipher_suite() == "TLS-ECDHE-ECDSA-WITH-CHACHA20-POLY1305-SHA256");
        CHECK(side->engine.application_protocol() == "http/1.1");
        CHECK_FALSE(side->engine.resumed());
        CHECK(side->engine.server_end_point().size() == 32);
    }
    CHECK(pair.client.engine.peer_subject() == "CN=test server");
    CHECK(pair.client.engine.peer_names() ==
          std::vector<std::string>{"localhost", "*.example.com", "127.0.0.1", "::1"});
    CHECK(pair.server.engine.peer_subject().empty());
    CHECK(pair.client.engine.server_end_point() == pair.server.engine.server_end_point());
}

TEST_CASE("TLS: an engine may move while it is in use") {
    tls_pair pair(test::tls_client(), test::tls_server());
    pair.client.step();
    tls_engine moved = std::move(pair.client.engine);
    pair.client.engine = std::move(moved);
    CHECK(pair.run());
}

TEST_CASE("TLS: bytes arrive unchanged in both directions, in any pieces") {
    tls_pair pair(test::tls_client(), test::tls_server());
    REQUIRE(pair.run());
    const auto up = pattern(60'000); // below the output limit
    const auto down = pattern(40'000);
    for (std::size_t at = 0; at < up.size(); at += 20'000)
        REQUIRE(pair.client.engine.write(byte_view(up).subspan(at, 20'000)).bytes == 20'000);
    REQUIRE(pair.server.engine.write(down).bytes == down.size());
    CHECK(pair.run(random_pieces(7)));
    CHECK(pair.server.received == up);
    CHECK(pair.client.received == down);
}

TEST_CASE("TLS: writing starts the handshake, and data behind it is not lost") {
    tls_pair pair(test::tls_client(), test::tls_server());
    CHECK(pair.client.engine.write(core::as_bytes("x")).status == tls_status::want_input);
    pair.server.deliver(pair.client.take_output(), test::unsplit);
    pair.client.deliver(pair.server.take_output(), test::unsplit);
    pair.server.deliver(pair.client.take_output(), test::unsplit); // the client's last flight
    REQUIRE(pair.server.engine.is_established());
    REQUIRE(pair.server.engine.write(core::as_bytes("early")).bytes == 5);
    // The server's last flight and its data come in one piece.
    CHECK(pair.run());
    CHECK(core::as_text(pair.client.received) == "early");
}

TEST_CASE("TLS: a small reading space leaves the rest for the next call") {
    tls_pair pair(test::tls_client(), test::tls_server());
    REQUIRE(pair.run());
    REQUIRE(pair.client.engine.write(core::as_bytes("hello world")).bytes == 11);
    const auto wire = pair.client.take_output();
    std::array<std::byte, 4> space{};
    pair.server.engine.set_input(wire);
    auto io = pair.server.engine.read(space);
    CHECK(io.status == tls_status::done);
    CHECK(core::as_text(space) == "hell");
    CHECK(pair.server.engine.buffered_plaintext() == 7);
    io = pair.server.engine.read(space);
    CHECK(core::as_text(space) == "o wo");
    io = pair.server.engine.read(space);
    CHECK(io.bytes == 3);
    CHECK(io.status == tls_status::want_input);
    CHECK(pair.server.engine.buffered_plaintext() == 0);
    CHECK(pair.server.engine.remaining_input().empty());
}

TEST_CASE("TLS: input that was lent can be taken back and lent again") {
    tls_pair pair(test::tls_client(), test::tls_server());
    REQUIRE(pair.run());
    REQUIRE(pair.client.engine.write(core::as_bytes("first")).bytes == 5);
    REQUIRE(pair.client.engine.write(core::as_bytes("second")).bytes == 6);
    std::array<std::byte, 5> space{};
    pair.server.engine.set_input(pair.client.engine.output());
    CHECK(pair.server.engine.read(space).bytes == 5);
    const auto rest = pair.server.engine.remaining_input();
    CHECK_FALSE(rest.empty());
    const test::bytes kept(rest.begin(), rest.end());
    pair.server.engine.set_input({});
    CHECK(pair.server.engine.read(space).status == tls_status::want_input);
    pair.server.deliver(kept, test::unsplit);
    CHECK(core::as_text(pair.server.received) == "second");
}

TEST_CASE("TLS: the output limit stops the writer, and nothing is lost or doubled") {
    tls_pair pair(test::tls_client(), test::tls_server());
    REQUIRE(pair.run());
    const auto data = pattern(1'000'000);
    const auto first = pair.client.engine.write(data);
    CHECK(first.status == tls_status::want_output);
    CHECK(first.bytes >= limits::tls_output_bytes_max - 1024);
    CHECK(first.bytes < data.size());
    const auto full = pair.client.engine.write(data);
    CHECK(full.bytes == 0);
    CHECK(full.status == tls_status::want_output);
    pair.server.deliver(pair.client.take_output(), test::unsplit);
    send_all(pair.client, pair.server, byte_view(data).subspan(first.bytes));
    CHECK(pair.server.received == data);
}

TEST_CASE("TLS: a full output stops no reading") {
    tls_pair pair(test::tls_client(), test::tls_server());
    REQUIRE(pair.run());
    REQUIRE(pair.client.engine.write(pattern(200'000)).status == tls_status::want_output);
    REQUIRE(pair.server.engine.write(core::as_bytes("go on")).bytes == 5);
    pair.client.deliver(pair.server.take_output(), test::unsplit);
    CHECK(core::as_text(pair.client.received) == "go on");
    CHECK(pair.client.status == tls_status::want_input);
}

TEST_CASE("TLS: output may be consumed in any pieces") {
    tls_pair pair(test::tls_client(), test::tls_server());
    REQUIRE(pair.run());
    const auto data = pattern(300'000);
    std::mt19937 engine(3);
    std::size_t written = 0;
    while (written < data.size() || !pair.client.engine.output().empty()) {
        written += pair.client.engine.write(byte_view(data).subspan(written)).bytes;
        const auto out = pair.client.engine.output();
        const auto n = std::uniform_int_distribution<std::size_t>(1, out.size())(engine);
        pair.server.deliver(out.first(n), test::unsplit);
        pair.client.engine.consume_output(n);
    }
    pair.client.engine.release_idle_memory();
    CHECK(pair.server.received == data);
}

TEST_CASE("TLS: the second connection to a server resumes") {
    const auto client = test::tls_client();
    const auto server = test::tls_server();
    tls_pair first(client, server);
    REQUIRE(first.run());
    CHECK(client->stored_sessions() == 1);
    for (int i = 0; i < 3; ++i) {
        tls_pair next(client, server, "LOCALHOST.");
        REQUIRE(next.run(random_pieces(1)));
        CHECK(next.client.engine.resumed());
        CHECK(next.server.engine.resumed());
        CHECK(next.client.engine.peer_subject() == "CN=test server");
        CHECK(next.client.engine.server_end_point() == first.client.engine.server_end_point());
        send_all(next.client, next.server, core::as_bytes("after resuming"));
        CHECK(core::as_text(next.server.received) == "after resuming");
    }
    SUBCASE("but not under another name or port") {
        tls_pair other_name(client, server, "a.example.com");
        REQUIRE(other_name.run());
        CHECK_FALSE(other_name.client.engine.resumed());
        tls_pair other_port(client, server, "localhost", 444);
        REQUIRE(other_port.run());
        CHECK_FALSE(other_port.client.engine.resumed());
    }
    SUBCASE("a server with a new ticket key gets a full handshake") {
        tls_pair restarted(client, test::tls_server());
        REQUIRE(restarted.run());
        CHECK_FALSE(restarted.client.engine.resumed());
        CHECK_FALSE(restarted.server.engine.resumed());
    }
    SUBCASE("a resumed handshake that breaks is not tried again") {
        tls_pair broken(client, server);
        broken.client.step();
        broken.client.engine.set_end_of_input();
        broken.client.step();
        CHECK(broken.client.engine.error() == errc::tls_truncated);
        CHECK(client->stored_sessions() == 0);
    }
}

TEST_CASE("TLS: neither side resumes when told not to") {
    tls_server_options server_options;
    server_options.certificate_chain_pem = test::server_certificate().certificate_pem;
    server_options.private_key_pem = test::server_certificate().private_key_pem;
    tls_client_options client_options;
    client_options.ca_pem = test::authority().certificate_pem();
    SUBCASE("server") { server_options.session_tickets = false; }
    SUBCASE("client") { client_options.resume_sessions = false; }
    const auto server = tls_context::make_server(server_options).value();
    const auto client = tls_context::make_client(client_options).value();
    for (int i = 0; i < 2; ++i) {
        tls_pair pair(client, server);
        REQUIRE(pair.run());
        CHECK_FALSE(pair.client.engine.resumed());
        CHECK_FALSE(pair.server.engine.resumed());
    }
}

TEST_CASE("TLS: a client remembers a bounded number of sessions") {
    const auto client = test::tls_client();
    const auto server = test::tls_server();
    tls_pair first(client, server, "localhost", 1);
    REQUIRE(first.run());
    transport::detail::session_store store(2);
    const auto session = client->native().sessions.find("localhost:1");
    REQUIRE(session != nullptr);
    store.store("a", session);
    store.store("b", session);
    CHECK(store.find("a") != nullptr);
    store.store("c", session);
    CHECK(store.size() == 2);
    CHECK(store.find("b") == nullptr); // unused for longest
    CHECK(store.find("a") != nullptr);
    CHECK(store.find("c") != nullptr);
}

TEST_CASE("TLS: a certificate of an unknown authority is untrusted") {
    const auto certificate =
        test::other_authority().issue({.common_name = "impostor", .dns_names = {"localhost"}});
    CHECK(refused(*certificate, "localhost", "not signed by a trusted authority", "unknown_ca") ==
          errc::tls_untrusted);
}

TEST_CASE("TLS: no trust is graver than the wrong name") {
    const auto certificate = test::other_authority().issue({.dns_names = {"localhost"}});
    CHECK(refused(*certificate, "elsewhere", "issued for another name", "bad_certificate") ==
          errc::tls_untrusted);
}

TEST_CASE("TLS: a certificate for another name is refused, and the names are told") {
    CHECK(refused(test::server_certificate(), "elsewhere",
                  "wanted elsewhere, it names localhost, *.example.com, 127.0.0.1, ::1",
                  "bad_certificate") == errc::tls_name_mismatch);
    // The star stands for one label.
    CHECK(refused(test::server_certificate(), "a.b.example.com", "issued for another name",
                  "bad_certificate") == errc::tls_name_mismatch);
    CHECK(refused(test::server_certificate(), "example.com", "issued for another name",
                  "bad_certificate") == errc::tls_name_mismatch);
}

TEST_CASE("TLS: an expired certificate and one not valid yet are refused") {
    CHECK(refused(test::expired_certificate(), "localhost", "\"CN=expired server\"", "expired") ==
          errc::tls_expired);
    const auto now = std::chrono::system_clock::now();
    const auto future = test::authority().issue({.dns_names = {"localhost"},
                                                 .not_before = now + std::chrono::hours{1},
                                                 .not_after = now + std::chrono::hours{2}});
    CHECK(refused(*future, "localhost", "not valid yet", "") == errc::tls_expired);
}

TEST_CASE("TLS: addresses are found among the certificate's addresses alone") {
    for (const auto* name : {"127.0.0.1", "::1", "[::1]", "0:0:0:0:0:0:0:1", "a.example.com"}) {
        CAPTURE(name);
        tls_pair pair(test::tls_client(), test::tls_server(), name);
        CHECK(pair.run());
        CHECK_FALSE(pair.client.engine.error());
    }
    for (const auto* name : {"127.0.0.2", "::2", "::ffff:127.0.0.1", "::127.0.0.1"}) {
        CAPTURE(name);
        CHECK(refused(test::server_certificate(), name, "issued for another name", "") ==
              errc::tls_name_mismatch);
    }
    // RFC 9525 6.5: neither a dNSName nor the common name stands for an address.
    const auto text =
        test::authority().issue({.common_name = "10.0.0.1", .dns_names = {"10.0.0.1"}});
    CHECK(refused(*text, "10.0.0.1", "issued for another name", "") == errc::tls_name_mismatch);
    const auto bare = test::authority().issue({.common_name = "10.0.0.1"});
    CHECK(refused(*bare, "10.0.0.1", "it names nothing", "") == errc::tls_name_mismatch);
}

TEST_CASE("TLS: the context's name goes before the engine's") {
    tls_client_options options;
    options.ca_pem = test::authority().certificate_pem();
    options.server_name = "www.example.com";
    tls_pair pair(tls_context::make_client(options).value(), test::tls_server(), "10.1.2.3");
    CHECK(pair.run());
}

TEST_CASE("TLS: a client that verifies needs a name, and one that does not accepts anybody") {
    tls_pair nameless(test::tls_client(), test::tls_server(), "");
    CHECK_FALSE(nameless.run());
    CHECK(nameless.client.engine.error() == errc::bad_setting);
    CHECK(nameless.client.engine.output().empty());
    tls_pair with_zero(test::tls_client(), test::tls_server(),
                       std::string_view("localhost\0x", 11));
    CHECK_FALSE(with_zero.run());
    CHECK(with_zero.client.engine.error() == errc::bad_setting);

    tls_client_options options;
    options.verify = false;
    for (const auto* name : {"", "elsewhere", "10.0.0.1"}) {
        tls_pair pair(tls_context::make_client(options).value(),
                      test::tls_server(test::expired_certificate()), name);
        CHECK(pair.run());
    }
}

TEST_CASE("TLS: what was refused once is not resumed later") {
    const auto client = test::tls_client();
    tls_pair pair(client, test::tls_server(test::expired_certificate()));
    CHECK_FALSE(pair.run());
    CHECK(client->stored_sessions() == 0);
}

TEST_CASE("TLS: a changed byte anywhere in a record is noticed, and the peer is told") {
    for (const std::size_t at :
         {std::size_t{5}, std::size_t{12}, std::size_t{20}, std::size_t{25}}) {
        CAPTURE(at);
        tls_pair pair(test::tls_client(), test::tls_server());
        REQUIRE(pair.run());
        REQUIRE(pair.client.engine.write(core::as_bytes("0123456789")).bytes == 10);
        auto wire = pair.client.take_output();
        REQUIRE(at < wire.size());
        wire[at] ^= std::byte{1};
        pair.server.deliver(wire, test::unsplit);
        CHECK(pair.server.status == tls_status::failed);
        CHECK(pair.server.engine.error() == errc::tls_failed);
        CHECK(pair.server.received.empty());
        pair.client.deliver(pair.server.take_output(), test::unsplit);
        CHECK(contains(pair.client.engine.error_detail(), "bad_record_mac"));
        // The first failure stays.
        CHECK(pair.server.engine.write(core::as_bytes("x")).status == tls_status::failed);
        CHECK(pair.server.engine.shutdown() == tls_status::failed);
    }
}

TEST_CASE("TLS: a changed byte anywhere in the handshake never ends in an established pair") {
    // Every 7th byte of the server's first flight, which carries certificate and key exchange.
    std::size_t flight_bytes = 0;
    std::size_t established = 0;
    for (std::size_t at = 0; at == 0 || at < flight_bytes; at += 7) {
        tls_pair pair(test::tls_client(), test::tls_server());
        pair.client.step();
        pair.server.deliver(pair.client.take_output(), test::unsplit);
        auto flight = pair.server.take_output();
        flight_bytes = flight.size();
        if (at >= flight.size()) break; // signatures differ in length by a byte or two
        flight[at] ^= std::byte{0x10};
        pair.client.deliver(flight, test::unsplit);
        if (pair.run()) ++established;
        const bool client_waits = pair.client.status == tls_status::want_input;
        CHECK((client_waits || pair.client.engine.error()));
    }
    CHECK(flight_bytes > 500);
    CHECK(established == 0);
}

TEST_CASE("TLS: an end without close_notify is not an orderly end") {
    tls_pair pair(test::tls_client(), test::tls_server());
    REQUIRE(pair.run());
    std::size_t left_out = 0;
    SUBCASE("between records") {}
    SUBCASE("within the body of a record") { left_out = 1; }
    SUBCASE("within the head of a record") { left_out = SIZE_MAX; }
    if (left_out != 0) {
        REQUIRE(pair.client.engine.write(core::as_bytes("cut")).bytes == 3);
        auto wire = pair.client.take_output();
        wire.resize(left_out == 1 ? wire.size() - 1 : 4);
        pair.server.deliver(wire, test::unsplit);
    }
    CHECK(pair.server.engine.is_within_record() == (left_out != 0));
    CHECK(pair.server.status == tls_status::want_input);
    pair.server.engine.set_end_of_input();
    pair.server.step();
    CHECK(pair.server.status == tls_status::failed);
    CHECK(pair.server.engine.error() == errc::tls_truncated);
    CHECK(pair.server.received.empty());
}

TEST_CASE("TLS: an end during the handshake is named, at whatever byte it comes") {
    tls_pair whole(test::tls_client(), test::tls_server());
    whole.client.step();
    const auto hello = whole.client.take_output();
    for (std::size_t n = 0; n < hello.size(); ++n) {
        test::tls_side server{tls_engine(test::tls_server())};
        server.deliver(byte_view(hello).first(n), test::unsplit);
        server.engine.set_end_of_input();
        server.step();
        CHECK(server.engine.error() == errc::tls_truncated);
    }
}

TEST_CASE("TLS: close_notify ends one direction after all data") {
    tls_pair pair(test::tls_client(), test::tls_server());
    REQUIRE(pair.run());
    REQUIRE(pair.client.engine.write(core::as_bytes("last words")).bytes == 10);
    CHECK(pair.client.engine.shutdown() == tls_status::done);
    CHECK(pair.client.engine.shutdown() == tls_status::done); // once is enough
    pair.server.deliver(pair.client.take_output(), test::unsplit);
    CHECK(core::as_text(pair.server.received) == "last words");
    CHECK(pair.server.status == tls_status::closed);
    CHECK_FALSE(pair.server.engine.error());
    pair.server.engine.set_end_of_input();
    pair.server.step();
    CHECK(pair.server.status == tls_status::closed);
    // The other direction goes on.
    REQUIRE(pair.server.engine.write(core::as_bytes("and mine")).bytes == 8);
    pair.client.deliver(pair.server.take_output(), test::unsplit);
    CHECK(core::as_text(pair.client.received) == "and mine");
    CHECK(pair.client.engine.write(core::as_bytes("x")).status == tls_status::failed);
    CHECK(pair.client.engine.error() == errc::not_open);
}

TEST_CASE("TLS: a peer that speaks plain HTTP is recognised") {
    test::tls_side server{tls_engine(test::tls_server())};
    server.deliver(core::as_bytes("RPC_IN_DATA /rpc/rpcproxy.dll?a:1 HTTP/1.1\r\n"), test::unsplit);
    CHECK(server.engine.error() == errc::tls_failed);
    CHECK(contains(server.engine.error_detail(), "plain HTTP"));
    test::tls_side client{tls_engine(test::tls_client(), "localhost")};
    client.deliver(core::as_bytes("HTTP/1.1 400 Bad Request\r\n\r\n"), test::unsplit);
    CHECK(client.engine.error() == errc::tls_failed);
    CHECK(contains(client.engine.error_detail(), "plain HTTP"));
}

TEST_CASE("TLS: noise is refused, whatever it is") {
    std::mt19937 engine(11);
    for (int round = 0; round < 300; ++round) {
        test::bytes noise(std::uniform_int_distribution<std::size_t>(1, 400)(engine));
        for (auto& b : noise) b = static_cast<std::byte>(engine());
        if (round % 2 == 0 && noise.size() > 5) { // looks like a handshake record
            noise[0] = std::byte{22};
            noise[1] = noise[2] = std::byte{3};
            noise[3] = std::byte{0};
        }
        test::tls_side server{tls_engine(test::tls_server())};
        server.deliver(noise, test::unsplit);
        CHECK_FALSE(server.engine.is_established());
        CHECK(server.engine.output().size() < 1024);
    }
}

TEST_CASE("TLS server: ALPN without http/1.1 is refused, no ALPN is served") {
    static const char* only_h2[] = {"h2", nullptr};
    static const char* both[] = {"h2", "http/1.1", nullptr};
    test::tls_side server{tls_engine(test::tls_server())};
    SUBCASE("h2 only, RFC 7301 3.2") {
        test::bare_tls_client client([](auto& c) { mbedtls_ssl_conf_alpn_protocols(&c, only_h2); });
        CHECK(client.handshake(server) == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE);
        CHECK(transport::detail::tls::received_alert(client.native()) == 120);
        CHECK(server.engine.error() == errc::tls_failed);
    }
    SUBCASE("both") {
        test::bare_tls_client client([](auto& c) { mbedtls_ssl_conf_alpn_protocols(&c, both); });
        CHECK(client.handshake(server) == 0);
        CHECK(server.engine.application_protocol() == "http/1.1");
    }
    SUBCASE("none") {
        test::bare_tls_client client([](auto&) {});
        CHECK(client.handshake(server) == 0);
        CHECK(server.engine.application_protocol().empty());
    }
}

#if MBEDTLS_VERSION_NUMBER < 0x03000000
TEST_CASE("TLS server: nothing below TLS 1.2") {
    for (const int minor : {MBEDTLS_SSL_MINOR_VERSION_1, MBEDTLS_SSL_MINOR_VERSION_2}) {
        test::tls_side server{tls_engine(test::tls_server())};
        test::bare_tls_client client([minor](auto& c) {
            mbedtls_ssl_conf_min_version(&c, MBEDTLS_SSL_MAJOR_VERSION_3,
                                         MBEDTLS_SSL_MINOR_VERSION_1);
            mbedtls_ssl_conf_max_version(&c, MBEDTLS_SSL_MAJOR_VERSION_3, minor);
        });
        CHECK(client.handshake(server) == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE);
        CHECK(transport::detail::tls::received_alert(client.native()) == 70); // protocol_version
        CHECK(server.engine.error() == errc::tls_failed);
    }
}
#endif

TEST_CASE("TLS server: key exchange without forward secrecy is refused") {
    static const int suites[] = {MBEDTLS_TLS_RSA_WITH_AES_128_GCM_SHA256,
                                 MBEDTLS_TLS_ECDH_ECDSA_WITH_AES_128_GCM_SHA256, 0};
    test::tls_side server{tls_engine(test::tls_server())};
    test::bare_tls_client client([](auto& c) { mbedtls_ssl_conf_ciphersuites(&c, suites); });
    CHECK(client.handshake(server) == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE);
    CHECK(server.engine.error() == errc::tls_failed);
}

#if defined(MBEDTLS_SSL_RENEGOTIATION)
TEST_CASE("TLS server: renegotiation is declined, and its answers are bounded") {
    test::tls_side server{tls_engine(test::tls_server())};
    test::bare_tls_client client(
        [](auto& c) { mbedtls_ssl_conf_renegotiation(&c, MBEDTLS_SSL_RENEGOTIATION_ENABLED); });
    REQUIRE(client.handshake(server) == 0);
    REQUIRE(server.engine.is_established());
    // The client's new hello is encrypted data to everybody else.
    CHECK(mbedtls_ssl_renegotiate(&client.native()) == MBEDTLS_ERR_SSL_WANT_READ);
    client.exchange(server);
    CHECK(mbedtls_ssl_renegotiate(&client.native()) != 0); // no_renegotiation came back
    CHECK(server.status == tls_status::want_input);
    CHECK_FALSE(server.engine.error());
    REQUIRE(server.engine.write(core::as_bytes("still here")).bytes == 10);
}
#endif

TEST_CASE("TLS: engines of shared contexts run in many threads") {
    const auto client = test::tls_client();
    const auto server = test::tls_server();
    static constexpr int threads = 4;
    std::array<int, threads> succeeded{};
    {
        std::vector<std::jthread> running;
        for (std::size_t t = 0; t < threads; ++t)
            running.emplace_back([&, t] {
                for (int i = 0; i < 12; ++i) {
                    // Some ports are shared between threads, some are not.
                    const auto port =
                        static_cast<std::uint16_t>(t % 2 + static_cast<std::size_t>(i) % 3);
                    tls_pair pair(client, server, "localhost", port);
                    if (!pair.run()) continue;
                    if (pair.client.engine.write(core::as_bytes("ping")).bytes != 4) continue;
                    pair.server.deliver(pair.client.take_output(), test::unsplit);
                    if (core::as_text(pair.server.received) == "ping") ++succeeded[t];
                }
            });
    }
    for (const int n : succeeded) CHECK(n == 12);
}
