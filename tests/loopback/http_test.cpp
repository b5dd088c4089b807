// HTTP as other people's clients and proxies speak it.
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <doctest/doctest.h>

#include <rpch/auth/users_file.hpp>
#include <rpch/core/base64.hpp>
#include <rpch/transport/password_hash.hpp>

#include <asio/ip/tcp.hpp>

#include "tests/support/channel.hpp"
#include "tests/support/raw_peer.hpp"
#include "tests/support/stack.hpp"

namespace {

namespace rts = rpch::rts;
using rpch::errc;
using test::bytes;
using test::raw_peer;
using namespace std::chrono_literals;

constexpr auto in_data = rpch::http::channel_method::in_data;
constexpr auto out_data = rpch::http::channel_method::out_data;

std::string text(const bytes& data) { return std::string(rpch::core::as_text(data)); }

std::size_t count(const std::string& where, std::string_view what) {
    std::size_t n = 0;
    for (std::size_t at = where.find(what); at != std::string::npos; at = where.find(what, at + 1))
        ++n;
    return n;
}

const std::string echo_pdu = text(test::hex("0500140310000000140000000000000040000000"));

/// @return the head with another line in front of its end.
std::string with_line(std::string head, const std::string& line) {
    return head.insert(head.size() - 2, line + "\r\n");
}

/// An RPC proxy that a test plays: accepts both channels and says what it is told to.
class fake_proxy {
  public:
    explicit fake_proxy(test::stack& all)
        : stack_(all), acceptor_(all.io, {asio::ip::address_v4::loopback(), 0}) {
        accept();
    }
    [[nodiscard]] std::string binding() const {
        return "ncacn_http:127.0.0.1[1,RpcProxy=127.0.0.1:" +
               std::to_string(acceptor_.local_endpoint().port()) + ",HttpUseTls=false]";
    }
    /// Waits for both requests with their first PDUs.
    void wait_for_both() {
        REQUIRE(stack_.run_until([this] {
            sort();
            return in && out && body(*in).size() >= 104 && body(*out).size() >= 76;
        }));
    }
    /// Waits for the bind and answers it, each PDU of the OUT channel dressed by `dress`.
    void open(const std::function<std::string(const std::string&)>& dress) {
        out->send(dress(text(test::wire_of(rts::conn_a3{120'000}))));
        out->send(dress(text(test::wire_of(rts::conn_c2{1, 65536, 120'000}))));
        REQUIRE(stack_.run_until([this] { return body(*in).size() >= 104 + 72; }));
        bytes answer = test::hex("05000c0310000000380000000100000" // 0: call_id is put in below
                                 "0d016d01601000000020030000100000000000000045d888aeb1cc911"
                                 "9fe808002b10486002000000");
        const std::string bind = body(*in).substr(104);
        for (std::size_t i = 12; i < 16; ++i) answer[i] = static_cast<std::byte>(bind[i]);
        out->send(dress(text(answer)));
    }
    static std::string body(const raw_peer& peer) {
        const std::size_t end = peer.heard().find("\r\n\r\n");
        return end == std::string::npos ? std::string() : peer.heard().substr(end + 4);
    }

    std::optional<raw_peer> in;
    std::optional<raw_peer> out;

  private:
    void accept() {
        acceptor_.async_accept([this](std::error_code ec, asio::ip::tcp::socket socket) {
            if (ec) return;
            fresh_.push_back(std::make_unique<raw_peer>(std::move(socket)));
            accept();
        });
    }
    void sort() {
        for (auto& each : fresh_) {
            if (!each || each->heard().size() < 12) continue;
            auto& slot = each->heard().starts_with("RPC_IN_DATA") ? in : out;
            slot.emplace(std::move(*each));
            each.reset();
        }
    }

    test::stack& stack_;
    asio::ip::tcp::acceptor acceptor_;
    std::vector<std::unique_ptr<raw_peer>> fresh_;
};

std::string chunk(const std::string& data) {
    char size[16];
    std::snprintf(size, sizeof size, "%zx\r\n", data.size());
    return size + data + "\r\n";
}

constexpr std::string_view ok_head = "HTTP/1.1 200 Success\r\nContent-Type: application/rpc\r\n";

} // namespace

TEST_CASE("Echo requests of both methods are answered, several on one connection") {
    test::stack all;
    for (const auto method : {in_data, out_data}) {
        raw_peer peer(all.io, all.proxy_port);
        for (std::size_t n = 1; n <= 3; ++n) {
            peer.send(test::channel_head(method, all.server_port, n == 2 ? 4 : 0));
            if (n == 2) peer.send(test::hex("f8e81808"));
            CHECK(all.run_until([&] { return count(peer.heard(), echo_pdu) == n; }));
        }
        CHECK(count(peer.heard(), "HTTP/1.1 200 ") == 3);
        CHECK_FALSE(peer.ended());
    }
}

TEST_CASE("Pipelined heads are answered in order, and a channel may follow in the same write") {
    test::stack all;
    raw_peer peer(all.io, all.proxy_port);
    peer.send(test::out_head(all.server_port, 0) + test::out_head(all.server_port, 0) +
              test::out_head(all.server_port) +
              text(test::wire_of(rts::conn_a1{1, test::cookie_of(1), test::cookie_of(2), 65536})));
    CHECK(all.run_until([&] { return count(peer.heard(), "HTTP/1.1 200 ") == 3; }));
    CHECK(count(peer.heard(), echo_pdu) == 2);
    CHECK(peer.heard("application/rpc"));
    CHECK_FALSE(peer.ended());
}

TEST_CASE("Expect: 100-continue is answered before the body") {
    test::stack all;
    raw_peer peer(all.io, all.proxy_port);
    peer.send(with_line(test::in_head(all.server_port), "Expect: 100-continue"));
    CHECK(all.run_until([&] { return peer.heard("HTTP/1.1 100 Continue\r\n\r\n"); }));
    CHECK_FALSE(peer.ended());
}

TEST_CASE("After a 401 the same connection may try again") {
    test::stack all({.basic = true});
    const auto login = [](std::string_view who) {
        return "Basic " + rpch::core::base64_encode(rpch::core::as_bytes(who));
    };
    raw_peer peer(all.io, all.proxy_port);
    peer.send(test::channel_head(in_data, all.server_port, 0));
    REQUIRE(all.run_until([&] { return count(peer.heard(), "HTTP/1.1 401 ") == 1; }));
    peer.send(test::channel_head(in_data, all.server_port, 0, login("tester:guess")));
    REQUIRE(all.run_until([&] { return count(peer.heard(), "HTTP/1.1 401 ") == 2; }));
    CHECK_FALSE(peer.ended());
    peer.send(test::channel_head(in_data, all.server_port, 0, login("tester:correct horse")));
    CHECK(all.run_until([&] { return peer.heard(echo_pdu); }));
    CHECK_FALSE(peer.ended());
}

TEST_CASE("Guesses on one connection come to an end") {
    test::stack all({.basic = true});
    raw_peer peer(all.io, all.proxy_port);
    for (int i = 0; i < 5; ++i) peer.send(test::channel_head(in_data, all.server_port, 0));
    CHECK(all.run_until([&] { return peer.ended(); }));
    CHECK(count(peer.heard(), "HTTP/1.1 401 ") == 3);
}

TEST_CASE("HTTP/1.0 ends after its answer unless it asks to stay") {
    test::stack all;
    std::string head = test::out_head(all.server_port, 0);
    head.replace(head.find("HTTP/1.1"), 8, "HTTP/1.0");
    const std::size_t at = head.find("Connection: ");
    REQUIRE(at != std::string::npos);
    const std::string without =
        head.substr(0, at) + head.substr(head.find("\r\n", at) + 2); // its Connection line is gone
    raw_peer stays(all.io, all.proxy_port);
    stays.send(with_line(without, "Connection: Keep-Alive"));
    REQUIRE(all.run_until([&] { return stays.heard(echo_pdu); }));
    stays.send(with_line(without, "Connection: Keep-Alive"));
    CHECK(all.run_until([&] { return count(stays.heard(), echo_pdu) == 2; }));
    raw_peer goes(all.io, all.proxy_port);
    goes.send(without);
    CHECK(all.run_until([&] { return goes.ended(); }));
    CHECK(goes.heard(echo_pdu));
}

TEST_CASE("An IN channel that ends first waits for what the OUT channel tells") {
    test::stack all;
    fake_proxy proxy(all);
    test::caller caller(all, proxy.binding());
    proxy.wait_for_both();
    proxy.in->close();
    CHECK_FALSE(all.run_until([&] { return caller.binds_done() != 0; }, 200ms));
    const std::string head = std::string(ok_head) + "Content-Length: 1073741824\r\n\r\n";
    std::string next_step = "is a port for ncacn_http, not one for ncacn_ip_tcp";
    std::error_code code = errc::connection_lost;
    SUBCASE("it was open as far as the proxy") {
        proxy.out->send(head + text(test::wire_of(rts::conn_a3{120'000})));
    }
    SUBCASE("its response came, and then its end") {
        proxy.out->send(head);
        proxy.out->close();
    }
    SUBCASE("it is refused") {
        proxy.out->send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        next_step = "check that the address is that of an RPC proxy";
        code = {404, rpch::http_status_category()};
    }
    SUBCASE("it ends without a word") {
        proxy.out->close();
        next_step = "leave out HttpUseTls=false";
    }
    SUBCASE("it says nothing") { next_step = "leave out HttpUseTls=false"; }
    REQUIRE(all.run_until([&] { return caller.binds_done() != 0; }));
    CHECK(caller.binds_done() == 1);
    CHECK_MESSAGE(caller.why().code == code, caller.why().to_string());
    CHECK_MESSAGE(caller.why().next_step.find(next_step) != std::string::npos,
                  caller.why().to_string());
}

TEST_CASE(
    "Our client reads an OUT channel with Content-Length, without, with zero, and in chunks") {
    const auto plain = [](const std::string& pdu) { return pdu; };
    std::string head(ok_head);
    std::function<std::string(const std::string&)> dress = plain;
    SUBCASE("Content-Length") { head += "Content-Length: 1073741824\r\n"; }
    SUBCASE("nothing: until the end of the connection") {}
    SUBCASE("Content-Length: 0, as some proxies say") { head += "Content-Length: 0\r\n"; }
    SUBCASE("one chunk a PDU") {
        head += "Transfer-Encoding: chunked\r\n";
        dress = chunk;
    }
    SUBCASE("chunks that cut PDUs") {
        head += "Transfer-Encoding: chunked\r\n";
        dress = [](const std::string& pdu) {
            return chunk(pdu.substr(0, 5)) + chunk(pdu.substr(5));
        };
    }
    test::stack all;
    fake_proxy proxy(all);
    test::caller caller(all, proxy.binding());
    proxy.wait_for_both();
    proxy.out->send(head + "\r\n");
    proxy.open(dress);
    CHECK_MESSAGE(caller.open(), caller.why().to_string());
}

TEST_CASE("An early 200 on the IN channel is read over") {
    test::stack all;
    fake_proxy proxy(all);
    test::caller caller(all, proxy.binding());
    proxy.wait_for_both();
    proxy.in->send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    proxy.out->send(std::string(ok_head) + "Content-Length: 1073741824\r\n\r\n");
    proxy.open([](const std::string& pdu) { return pdu; });
    CHECK_MESSAGE(caller.open(), caller.why().to_string());
}

TEST_CASE("A failure head inside a running OUT body is a failure of the proxy, with its number") {
    test::stack all;
    fake_proxy proxy(all);
    test::caller caller(all, proxy.binding());
    proxy.wait_for_both();
    proxy.out->send(std::string(ok_head) + "Content-Length: 1073741824\r\n\r\n");
    proxy.open([](const std::string& pdu) { return pdu; });
    REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
    const auto call = caller.begin(test::probe::echo, test::pattern(10));
    all.run_ready();
    proxy.out->send("HTTP/1.1 503 RPC Error: 6ba\r\nContent-Length: 0\r\n\r\n");
    REQUIRE(all.run_until([&] { return call->done != 0; }));
    CHECK(call->done == 1);
    CHECK(call->why.said_by == rpch::origin::rpc_proxy);
    CHECK(call->why.code == rpch::rpc_status::server_unavailable);
}

TEST_CASE("Answers that no RPC proxy gives are told with their status") {
    test::stack all;
    fake_proxy proxy(all);
    test::caller caller(all, proxy.binding());
    proxy.wait_for_both();
    std::string_view expected;
    SUBCASE("404") {
        proxy.out->send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        expected = "status 404";
    }
    SUBCASE("502 with a page") {
        proxy.in->send("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>");
        expected = "status 502";
    }
    CHECK_FALSE(caller.open());
    CHECK(caller.why().said_by == rpch::origin::http);
    CHECK(caller.why().detail.find(expected) != std::string::npos);
}

TEST_CASE("An answer that is no HTTP ends the client's connection with a named error") {
    test::stack all;
    fake_proxy proxy(all);
    test::caller caller(all, proxy.binding());
    proxy.wait_for_both();
    proxy.out->send("SSH-2.0-something\r\n\r\n");
    CHECK_FALSE(caller.open());
    CHECK(caller.why().code == errc::http_bad_start_line);
}

TEST_CASE("A reload changes users and rules for those who come, and not for who is there") {
    test::stack all({.basic = true});
    test::bystander other(all);
    REQUIRE(other.goes_on());
    rpch::auth::users_file users;
    REQUIRE_FALSE(
        users.set("tester", rpch::transport::make_password_hash("new words", 1000).value()));
    std::ofstream(all.users_path) << users.format();
    CHECK(all.proxy->reload("not a rule") == errc::bad_setting); // changes nothing
    CHECK(test::caller(all, all.binding()).open());
    REQUIRE_FALSE(all.proxy->reload("127.0.0.1:" + std::to_string(all.server_port)));
    test::caller old_password(all, all.binding());
    CHECK_FALSE(old_password.open());
    CHECK(old_password.why().code == errc::http_auth_required);
    auto options = all.options();
    options.http_password = "new words";
    CHECK(test::caller(all, all.binding(), options).open());
    REQUIRE_FALSE(all.proxy->reload("127.0.0.1:1"));
    test::caller nowhere(all, all.binding(), options);
    CHECK_FALSE(nowhere.open());
    CHECK(nowhere.why().code == rpch::rpc_status::proxy_access_denied);
    CHECK(other.goes_on(3));
}

TEST_CASE("Both channels of a virtual connection must be the same user's") {
    test::stack all({.basic = true});
    rpch::auth::users_file users;
    for (const char* name : {"alice", "bob"})
        REQUIRE_FALSE(users.set(name, rpch::transport::make_password_hash("word", 1000).value()));
    std::ofstream(all.users_path) << users.format();
    REQUIRE_FALSE(all.proxy->reload("127.0.0.1:" + std::to_string(all.server_port)));
    const auto login = [](std::string_view who) {
        return "Basic " + rpch::core::base64_encode(rpch::core::as_bytes(who));
    };
    const auto open = [&](std::string_view second_user, unsigned cookie) {
        const rpch::rts::cookie vc = test::cookie_of(cookie);
        raw_peer in(all.io, all.proxy_port);
        raw_peer out(all.io, all.proxy_port);
        in.send(test::channel_head(in_data, all.server_port, 1 << 20, login("alice:word")));
        in.send(test::wire_of(rpch::rts::conn_b1{1, vc, test::cookie_of(cookie + 1), 1 << 20,
                                                 300'000, test::cookie_of(cookie + 2)}));
        // The first channel has claimed the connection before the second one comes.
        REQUIRE(all.run_until([&] { return all.server->connections() != 0; }));
        out.send(test::channel_head(out_data, all.server_port, 76, login(second_user)));
        out.send(test::wire_of(rpch::rts::conn_a1{1, vc, test::cookie_of(cookie + 3), 65536}));
        REQUIRE(all.run_until([&] { return out.heard("HTTP/1."); }));
        const bool granted = out.heard("200 Success");
        if (!granted) {
            CHECK(out.heard(" 403 "));
        }
        in.close();
        out.close();
        all.run_until([&] { return all.server->connections() == 0; });
        return granted;
    };
    CHECK(open("alice:word", 0x11));
    CHECK_FALSE(open("bob:word", 0x21));
    CHECK(all.proxy_said("(bob)", "belongs to another user"));
}
