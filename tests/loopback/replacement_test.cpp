// Channels that are replaced while calls are under way, over real sockets.
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/support/relay.hpp"
#include "tests/support/stack.hpp"

namespace {

constexpr std::uint32_t short_lifetime = 128 * 1024;

/// A stack whose channels live for 128 KiB, and more proxies like its own.
struct farm {
    explicit farm(test::stack_options options, std::size_t proxies) {
        options.adjust_proxy = [this](rpch::proxy_settings& s) {
            s.channel_lifetime = short_lifetime;
            settings = s;
        };
        all.emplace(std::move(options));
        ports.push_back(all->proxy_port);
        for (std::size_t i = 1; i < proxies; ++i) {
            more.push_back(rpch::proxy::make(all->io.get_executor(), settings).value());
            ports.push_back(more.back().listen({"127.0.0.1", 0}, nullptr).value());
        }
    }
    [[nodiscard]] rpch::client_options options() {
        auto o = all->options();
        o.channel_lifetime = short_lifetime;
        return o;
    }
    /// The way through the balancer.
    [[nodiscard]] std::string binding(std::uint16_t port) const {
        return "ncacn_http:127.0.0.1[" + std::to_string(all->server_port) +
               ",RpcProxy=127.0.0.1:" + std::to_string(port) + ",HttpUseTls=false]";
    }
    /// What a failed check shows: the last lines of proxy and server.
    [[nodiscard]] std::string logs() const {
        std::string out;
        for (const auto* log : {&all->proxy_log, &all->server_log})
            for (std::size_t i = log->size() > 12 ? log->size() - 12 : 0; i < log->size(); ++i)
                out += (*log)[i] + "\n";
        return out;
    }
    [[nodiscard]] std::size_t count(std::string_view a, std::string_view b) const {
        std::size_t n = 0;
        for (const std::string& line : all->proxy_log)
            if (line.find(a) != std::string::npos && line.find(b) != std::string::npos) ++n;
        return n;
    }
    /// @return channels that ended without being replaced, in order or lost.
    [[nodiscard]] std::size_t count_ends() const {
        return count("", " closed by the ") + count("", " on the connection with the ");
    }

    rpch::proxy_settings settings;
    std::optional<test::stack> all;
    std::vector<rpch::proxy> more;
    std::vector<std::uint16_t> ports;
};

/// Keeps `pending` echo calls of `size` bytes going until `total` of them were answered right.
void echo_many(farm& f, test::caller& caller, std::size_t pending, std::size_t total,
               std::size_t size) {
    struct one {
        test::bytes sent;
        std::shared_ptr<test::outcome> call;
    };
    std::vector<one> running;
    std::size_t begun = 0;
    std::size_t answered = 0;
    while (answered < total) {
        while (running.size() < pending && begun < total) {
            ++begun;
            test::bytes sent =
                test::pattern(1 + (begun * 7919) % size, static_cast<unsigned>(begun));
            auto call = caller.begin(test::probe::echo, sent);
            running.push_back({std::move(sent), std::move(call)});
        }
        REQUIRE(f.all->run_until([&] {
            for (const one& each : running)
                if (each.call->done != 0) return true;
            return false;
        }));
        for (std::size_t i = 0; i < running.size();) {
            if (running[i].call->done == 0) {
                ++i;
                continue;
            }
            REQUIRE_MESSAGE(!running[i].call->why, running[i].call->why.to_string() << '\n'
                                                                                    << f.logs());
            REQUIRE(running[i].call->done == 1);
            REQUIRE((running[i].call->stub == running[i].sent));
            running.erase(running.begin() + static_cast<std::ptrdiff_t>(i));
            ++answered;
        }
    }
}

} // namespace

TEST_CASE("Channels that live for 128 KiB are replaced at one proxy again and again, and no call "
          "is lost") {
    for (const bool tls : {false, true}) {
        CAPTURE(tls);
        farm f({.tls = tls}, 1);
        test::caller caller(*f.all, f.all->binding(), f.options());
        REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
        echo_many(f, caller, 16, 600, 20'000);
        CHECK(f.count("IN channel", "replaced at this proxy") >= 20);
        CHECK(f.count("OUT channel", "replaced at this proxy") >= 20);
        CHECK(f.count_ends() == 0);
    }
}

TEST_CASE("IN and OUT channels on different proxies, successors on yet other ones: no call is "
          "lost") {
    for (const std::size_t proxies : {std::size_t{2}, std::size_t{3}, std::size_t{5}}) {
        CAPTURE(proxies);
        farm f({}, proxies);
        test::relay balancer(f.all->io, f.ports);
        test::caller caller(*f.all, f.binding(balancer.port()), f.options());
        REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
        echo_many(f, caller, 16, 600, 20'000);
        CHECK(f.count("IN channel", "replaced at") >= 20);
        CHECK(f.count("OUT channel", "replaced at") >= 20);
        CHECK(f.count_ends() == 0);
    }
}

TEST_CASE("Replacement through 8 KiB windows on every hop") {
    farm f({.window = 8192}, 3);
    test::relay balancer(f.all->io, f.ports);
    test::caller caller(*f.all, f.binding(balancer.port()), f.options());
    REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
    echo_many(f, caller, 8, 60, 150'000);
    CHECK(f.count("IN channel", "replaced at") >= 20);
    CHECK(f.count_ends() == 0);
}

TEST_CASE("A call larger than many channels passes through all of them") {
    farm f({}, 2);
    test::relay balancer(f.all->io, f.ports);
    test::caller caller(*f.all, f.binding(balancer.port()), f.options());
    REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
    const test::bytes sent = test::pattern(std::size_t{8} << 20);
    const auto call = caller.call(test::probe::echo, sent);
    REQUIRE_MESSAGE(!call->why, call->why.to_string() << '\n' << f.logs());
    CHECK((call->stub == sent));
    CHECK(f.count("IN channel", "replaced at") >= 60);
    CHECK(f.count("OUT channel", "replaced at") >= 60);
}

TEST_CASE("A successor that cannot be opened at once is tried again") {
    farm f({}, 1);
    auto options = f.options();
    options.replace_in_below = short_lifetime - 20'000; // early: there is room while it is tried
    auto balancer = std::make_optional<test::relay>(f.all->io, f.ports);
    const std::uint16_t port = balancer->port();
    test::caller caller(*f.all, f.binding(port), options);
    REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
    balancer->stop_accepting();
    echo_many(f, caller, 1, 4, 15'000); // the first successor is refused
    balancer->accept_again();
    echo_many(f, caller, 4, 200, 20'000);
    CHECK(f.count("IN channel", "replaced at") >= 3);
    CHECK(f.count_ends() == 0);
}

TEST_CASE("What was wrong with a successor that is tried again explains no later end") {
    farm f({.window = 16 * 1024}, 1);
    test::relay between(f.all->io, f.ports[0]);
    auto options = f.options();
    options.replace_in_below = short_lifetime - 20'000;
    options.blocked_wait = std::chrono::milliseconds(300);
    test::caller caller(*f.all, f.binding(between.port()), options);
    REQUIRE_MESSAGE(caller.open(), f.logs());
    between.stop_accepting();
    for (int i = 0; i < 10; ++i)
        REQUIRE_FALSE(caller.call(test::probe::echo, test::pattern(4000))->why);
    f.all->run_until([] { return false; },
                     std::chrono::milliseconds(100)); // the successor is refused meanwhile
    between.pause(true);
    const auto blocked = caller.call(test::probe::echo, test::pattern(60'000));
    CHECK(blocked->why.code == rpch::errc::flow_control_stalled);
    CHECK_MESSAGE(blocked->why.detail.empty(), blocked->why.to_string());
}
