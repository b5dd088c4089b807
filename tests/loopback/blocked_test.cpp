// A channel that its peer never lets send any more: whoever is blocked ends the virtual connection
// when the wait it was configured with is over, says so, and each pending call fails once.
#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include <rpch/dcerpc/common_header.hpp>
#include <rpch/rts/codec.hpp>

#include "tests/support/relay.hpp"
#include "tests/support/stack.hpp"

namespace {

using rpch::errc;
using test::probe;
using namespace std::chrono_literals;
namespace rts = rpch::rts;

constexpr auto blocked_wait = 400ms;
/// What follows from the end of the wait is there within this.
constexpr auto soon = 1s;
constexpr std::uint32_t small_window = 8192;

/// @return the party that a PDU acknowledges bytes to by naming it; nothing for other PDUs.
std::optional<rts::destination> acknowledges_to(rpch::byte_view pdu) {
    if (rpch::dcerpc::peek_type(pdu) != rpch::dcerpc::pdu_type::rts) return {};
    const auto in = rts::decode(pdu);
    if (!in || in->kind() != rts::shape::flow_control_ack_with_destination) return {};
    return in->forward_destination();
}
/// @return whether a PDU acknowledges bytes to the party on the same hop.
bool acknowledges(rpch::byte_view pdu) {
    if (rpch::dcerpc::peek_type(pdu) != rpch::dcerpc::pdu_type::rts) return false;
    const auto in = rts::decode(pdu);
    return in && in->kind() == rts::shape::flow_control_ack;
}

/// A way on which acknowledgements get lost. Only one party has a limit for them.
struct lossy_way {
    lossy_way(test::stack_options options, test::relay::pdu_filter lost)
        : all(allow_all(std::move(options))),
          to_proxy(all.io, all.proxy_port),
          to_server(all.io, all.server_port) {
        to_server.leave_out(std::move(lost));
    }
    static test::stack_options allow_all(test::stack_options options) {
        options.window = small_window;
        options.adjust_proxy = [then = options.adjust_proxy](rpch::proxy_settings& s) {
            s.valid_ports = "127.0.0.1:1-65535";
            if (then) then(s);
        };
        return options;
    }
    [[nodiscard]] std::string binding() const {
        return "ncacn_http:127.0.0.1[" + std::to_string(to_server.port()) +
               ",RpcProxy=127.0.0.1:" + std::to_string(to_proxy.port()) + ",HttpUseTls=false]";
    }
    test::stack all;
    test::relay to_proxy;
    test::relay to_server;
};

/// Calls that wait for their answers, among them those that a window holds up.
struct pending_calls {
    pending_calls(test::stack& on, const std::string& binding, rpch::client_options options)
        : all(on), caller(all, binding, std::move(options)) {
        REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
        for (unsigned i = 0; i < 3; ++i) calls.push_back(caller.begin(probe::hold));
        REQUIRE(all.run_until([&] { return all.held.size() == 3; }));
    }
    pending_calls(test::stack& on, const std::string& binding)
        : pending_calls(on, binding, on.options()) {}

    void large_request() { calls.push_back(caller.begin(probe::echo, test::pattern(100'000))); }
    void large_answer(std::size_t bytes = 100'000) {
        all.held[0].answer.respond(test::pattern(bytes));
        answered = 1;
    }

    /// Waits until all have ended: not before the wait is over, and then at once.
    void end_in_time() {
        const auto ended = [&] {
            return std::all_of(calls.begin(), calls.end(),
                               [](const auto& each) { return each->done != 0; });
        };
        CHECK_FALSE(all.run_until(ended, blocked_wait * 3 / 4));
        CHECK(all.run_until(ended, blocked_wait / 4 + soon));
        CHECK(caller.connection().connections() == 0);
    }
    /// Waits for the server, whose answers are too late now.
    void end_at_server() {
        CHECK(all.run_until([&] { return all.server->connections() == 0; }, soon));
        for (std::size_t i = answered; i < all.held.size(); ++i)
            CHECK(all.held[i].call.is_cancelled());
        for (auto& each : all.held) each.answer.respond({});
        all.run_ready();
        for (const auto& each : calls) CHECK(each->done == 1);
    }
    /// For a client that is not the blocked party: it sees the connection go.
    void check_lost() const {
        for (const auto& each : calls) {
            CHECK(each->why.code == errc::connection_lost);
            CHECK(each->why.detail ==
                  "calls that were not answered: " + std::to_string(calls.size()));
            CHECK(each->why.where.find(" channel to 127.0.0.1:") != std::string::npos);
        }
    }
    test::stack& all;
    test::caller caller;
    std::vector<std::shared_ptr<test::outcome>> calls;
    std::size_t answered = 0; ///< Of those that the server held.
};

const std::string stalled = "the peer did not acknowledge within the limit";

} // namespace

TEST_CASE("A client whose IN channel the inbound proxy does not acknowledge ends its connection "
          "after blocked_wait") {
    lossy_way way({}, [](bool from_near, rpch::byte_view pdu) {
        return !from_near && acknowledges_to(pdu) == rts::destination::client;
    });
    auto options = way.all.options();
    options.blocked_wait = blocked_wait;
    pending_calls waiting(way.all, way.binding(), options);
    waiting.large_request();
    waiting.end_in_time();
    waiting.end_at_server();
    for (const auto& each : waiting.calls) {
        CAPTURE(each->why.to_string());
        CHECK(each->why.code == errc::flow_control_stalled);
        CHECK(each->why.code == rpch::error_kind::network);
        CHECK(each->why.where == "IN channel to 127.0.0.1:" + std::to_string(way.to_proxy.port()));
        CHECK_FALSE(each->why.to_string().empty());
    }
    CHECK(way.all.server_said(" lost ", "calls that were not finished: "));
    CHECK(way.all.run_until([&] { return way.all.proxy->connections() == 0; }, soon));
}

TEST_CASE("An inbound proxy that the server does not acknowledge ends the connection after "
          "blocked_wait") {
    lossy_way way(
        {.adjust_proxy = [](rpch::proxy_settings& s) { s.blocked_wait = blocked_wait; }},
        [](bool from_near, rpch::byte_view pdu) { return !from_near && acknowledges(pdu); });
    pending_calls waiting(way.all, way.binding());
    waiting.large_request();
    waiting.end_in_time();
    waiting.end_at_server();
    waiting.check_lost();
    CHECK(way.all.proxy_said("IN channel", " ended on the connection with the server: " + stalled));
    CHECK(way.all.run_until([&] { return way.all.proxy->connections() == 0; }, soon));
}

TEST_CASE("A server whose OUT channel the outbound proxy does not acknowledge ends the connection "
          "after blocked_wait") {
    lossy_way way(
        {.adjust_server = [](rpch::server_settings& s) { s.blocked_wait = blocked_wait; }},
        [](bool from_near, rpch::byte_view pdu) { return from_near && acknowledges(pdu); });
    pending_calls waiting(way.all, way.binding());
    waiting.large_answer();
    waiting.end_in_time();
    waiting.end_at_server();
    waiting.check_lost();
    CHECK(way.all.server_said("virtual connection",
                              " ended on the connection with the outbound proxy: " + stalled));
    CHECK(way.all.run_until([&] { return way.all.proxy->connections() == 0; }, soon));
}

TEST_CASE("An outbound proxy that the client does not acknowledge ends the connection after "
          "blocked_wait") {
    lossy_way way({.adjust_proxy = [](rpch::proxy_settings& s) { s.blocked_wait = blocked_wait; }},
                  [](bool from_near, rpch::byte_view pdu) {
                      return from_near && acknowledges_to(pdu) == rts::destination::outbound_proxy;
                  });
    pending_calls waiting(way.all, way.binding());
    waiting.large_answer();
    waiting.end_in_time();
    waiting.end_at_server();
    waiting.check_lost();
    CHECK(
        way.all.proxy_said("OUT channel", " ended on the connection with the client: " + stalled));
    CHECK(way.all.run_until([&] { return way.all.proxy->connections() == 0; }, soon));
}

TEST_CASE("A front door that the client does not acknowledge ends the connection after its "
          "blocked_wait") {
    test::stack all(
        {.window = small_window, .front_door = true, .adjust_server = [](rpch::server_settings& s) {
             s.front_door.blocked_wait = blocked_wait;
         }});
    test::relay to_door(all.io, all.front_port);
    to_door.leave_out([](bool from_near, rpch::byte_view pdu) {
        return from_near && acknowledges_to(pdu) == rts::destination::outbound_proxy;
    });
    pending_calls waiting(all, "ncacn_http:any.example[6001,RpcProxy=127.0.0.1:" +
                                   std::to_string(to_door.port()) + ",HttpUseTls=false]");
    waiting.large_answer();
    waiting.end_in_time();
    waiting.end_at_server();
    waiting.check_lost();
    CHECK(all.server_said("OUT channel", " ended on the connection with the client: " + stalled));
}

namespace {

/// A proxy that ends RPC over HTTP in front of the server's TCP port.
struct backend_way {
    explicit backend_way(test::stack& all) : to_server(all.io, all.tcp_port) {
        rpch::proxy_settings settings;
        settings.valid_ports = "files.example:6001";
        settings.tcp_backends.push_back({{"files.example", 6001}, {"127.0.0.1", to_server.port()}});
        settings.allow_anonymous = settings.allow_plain = true;
        settings.in_receive_window = settings.out_receive_window = small_window;
        settings.blocked_wait = blocked_wait;
        settings.log = [this](const std::string& line) { log.push_back(line); };
        proxy.emplace(rpch::proxy::make(all.io.get_executor(), settings).value());
        to_proxy.emplace(all.io, proxy->listen({"127.0.0.1", 0}, nullptr).value());
    }
    [[nodiscard]] std::string binding() const {
        return "ncacn_http:files.example[6001,RpcProxy=127.0.0.1:" +
               std::to_string(to_proxy->port()) + ",HttpUseTls=false]";
    }
    [[nodiscard]] bool said(std::string_view a, std::string_view b) const {
        return std::any_of(log.begin(), log.end(), [&](const std::string& line) {
            return line.find(a) != std::string::npos && line.find(b) != std::string::npos;
        });
    }
    std::vector<std::string> log;
    test::relay to_server;
    std::optional<rpch::proxy> proxy;
    std::optional<test::relay> to_proxy;
};

} // namespace

TEST_CASE("A TCP backend that takes nothing blocks its inbound proxy for blocked_wait at most") {
    test::stack all;
    backend_way way(all);
    pending_calls waiting(all, way.binding());
    way.to_server.pause(true);
    waiting.calls.push_back(
        waiting.caller.begin(probe::echo, test::pattern(std::size_t{24} << 20))); // fills sockets
    waiting.end_in_time();
    way.to_server.pause(false); // or it does not see the end
    waiting.end_at_server();
    waiting.check_lost();
    CHECK(way.said("IN channel", " ended on the connection with the server: " + stalled));
    CHECK(all.run_until([&] { return way.proxy->connections() == 0; }, soon));
}

TEST_CASE("What a TCP backend sends waits for an OUT channel that takes nothing for blocked_wait "
          "at most") {
    test::stack all;
    backend_way way(all);
    way.to_proxy->be_narrow();
    auto options = all.options();
    // Larger than what the sockets and the proxy's own window hold, as a rule: it blocks nobody.
    options.receive_window = 262'144;
    pending_calls waiting(all, way.binding(), options);
    REQUIRE(way.to_proxy->connections() == 2);
    REQUIRE_FALSE(waiting.caller.call(probe::echo, test::pattern(50'000))->why);
    const auto from = [&](std::size_t which) { return way.to_proxy->bytes_from(which); };
    way.to_proxy->pause_answers(from(0) > from(1) ? 1 : 0); // the IN channel brought the request
    waiting.large_answer(2'000'000);
    waiting.end_in_time();
    waiting.end_at_server();
    // Where the sockets hold more than the client's window, its outbound proxy is blocked as well,
    // since about the same time.
    const bool by_backend = way.said(
        "virtual connection", " ended on the connection with the outbound proxy: " + stalled);
    const bool by_outbound =
        way.said("OUT channel", " ended on the connection with the client: " + stalled);
    CHECK((by_backend || by_outbound));
    CHECK(all.run_until([&] { return way.proxy->connections() == 0; }, soon));
}
