// Calls of several users on one connection: a security context each, [MS-RPCE] 3.3.1.5.4.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include <rpch/auth/ntlm.hpp>

#include "tests/support/auth_level.hpp"
#include "tests/support/ntlm_client.hpp"
#include "tests/support/relay.hpp"
#include "tests/support/stack.hpp"
#include "tests/support/toy_security.hpp"

namespace {

namespace auth = rpch::auth;
using level = auth::authentication_level;
using rpch::errc;
using test::client_of;
using test::environment;
using test::probe;

rpch::call_parameters as(const std::string& user, const std::string& password,
                         level at = level::privacy) {
    auto who = std::make_shared<rpch::call_identity>();
    who->security = client_of(user, password);
    who->level = at;
    rpch::call_parameters out;
    out.identity = std::move(who);
    return out;
}

test::stack_options with_users() {
    return {.adjust_server = [](rpch::server_settings& s) {
        auto accounts = std::make_shared<auth::ntlm_account_list>();
        for (const char* user : {"alice", "bob", "carol"})
            accounts->add(
                {user, "RPCHDOM", auth::ntowf_v1(std::string(user) + "'s word").value(), false});
        auth::ntlm_server_settings n;
        n.netbios_domain = "RPCHDOM";
        s.rpc_security = {std::make_shared<auth::ntlm_acceptor>(environment(), std::move(accounts),
                                                                std::move(n))};
    }};
}

/// An initiator that tells which levels it was asked for.
class asked final : public auth::security_initiator {
  public:
    asked(std::shared_ptr<auth::security_initiator> inner, std::vector<level>& levels)
        : inner_(std::move(inner)), levels_(levels) {}
    [[nodiscard]] auth::security_provider provider() const noexcept override {
        return inner_->provider();
    }
    [[nodiscard]] rpch::result<std::unique_ptr<auth::security_context>>
    initiate(const auth::security_options& options) override {
        levels_.push_back(options.level);
        return inner_->initiate(options);
    }

  private:
    std::shared_ptr<auth::security_initiator> inner_;
    std::vector<level>& levels_;
};

/// @return who made a call that the server holds, and how; and answers it.
std::pair<std::string, level> answer(test::stack& all, test::held_call& held) {
    all.run_ready();
    std::pair<std::string, level> out{"", held.call.level()};
    if (held.call.caller() != nullptr) out.first = held.call.caller()->user;
    held.answer.respond(std::move(held.stub));
    return out;
}

} // namespace

TEST_CASE("Calls of several users share a connection, each under a security context of its own") {
    test::stack all(with_users());
    for (const bool http : {false, true})
        for (const bool is_anonymous : {false, true}) {
            CAPTURE(http);
            CAPTURE(is_anonymous);
            auto options = all.options();
            if (!is_anonymous) options.rpc_security = client_of("alice", "alice's word");
            test::caller caller(all, http ? all.binding() : all.tcp_binding(), options);
            REQUIRE(caller.open());
            const auto bob = as("bob", "bob's word");
            const auto carol = as("carol", "carol's word", level::integrity);
            std::vector<std::shared_ptr<test::outcome>> calls;
            for (unsigned i = 0; i < 30; ++i)
                calls.push_back(caller.begin(probe::hold, test::pattern(20 + 4 * i),
                                             i % 3 == 0   ? rpch::call_parameters{}
                                             : i % 3 == 1 ? bob
                                                          : carol,
                                             {}));
            REQUIRE(all.run_until([&] { return all.held.size() == 30; }));
            std::vector<int> seen(3);
            for (auto& held : all.held) {
                const std::size_t i = (held.stub.size() - 20) / 4; // trailers pad the stub
                const auto [user, at] = answer(all, held);
                ++seen[i % 3];
                const char* const plain = is_anonymous ? "" : "alice";
                CHECK(user == std::string(i % 3 == 1 ? "bob" : i % 3 == 2 ? "carol" : plain));
                CHECK(at == (i % 3 == 2                   ? level::integrity
                             : i % 3 == 0 && is_anonymous ? level::none
                                                          : level::privacy));
            }
            CHECK(seen == std::vector{10, 10, 10});
            all.held.clear();
            REQUIRE(all.run_until([&] {
                return std::all_of(calls.begin(), calls.end(),
                                   [](const auto& call) { return call->done == 1; });
            }));
            for (unsigned i = 0; i < calls.size(); ++i) {
                CHECK_FALSE(calls[i]->why);
                CHECK(calls[i]->stub == test::pattern(20 + 4 * i));
            }
            CHECK(caller.connection().connections() == 1);
        }
}

TEST_CASE("A user who is refused ends the connection as Windows does, and each call ends once") {
    // The first call of a context whose auth3 was refused: a fault, and the server closes.
    test::stack all(with_users());
    auto options = all.options();
    options.rpc_security = client_of("alice", "alice's word");
    test::caller caller(all, all.binding(), options);
    REQUIRE(caller.open());
    const auto before = caller.begin(probe::hold);
    const auto wrong = caller.begin(probe::echo, {}, as("bob", "not bob's word"), {});
    REQUIRE(all.run_until([&] { return wrong->done == 1 && before->done == 1; }));
    // NTLM's last token has no answer: the call learns of it.
    CHECK(wrong->why.code == rpch::rpc_status::access_denied);
    CHECK(wrong->why.next_step.find("of the call's identity") != std::string::npos);
    CHECK(before->why.code == errc::connection_lost);
    CHECK_FALSE(before->why.did_not_execute);
    all.run_ready();
    CHECK(wrong->done == 1);
    CHECK(before->done == 1);
}

TEST_CASE("An identity without a mechanism is refused, and the connection goes on") {
    test::stack all(with_users());
    test::caller caller(all, all.tcp_binding());
    REQUIRE(caller.open());
    rpch::call_parameters nobody;
    nobody.identity = std::make_shared<rpch::call_identity>();
    const auto without = caller.begin(probe::echo, {}, nobody, {});
    REQUIRE(all.run_until([&] { return without->done == 1; }));
    CHECK(without->why.code == errc::bad_setting);
    CHECK(without->why.detail.find("a mechanism is needed") != std::string::npos);
    CHECK(without->why.did_not_execute);
    const auto right = caller.begin(probe::echo, test::pattern(8), as("bob", "bob's word"), {});
    REQUIRE(all.run_until([&] { return right->done == 1; }));
    CHECK_FALSE(right->why);
    CHECK(right->stub == test::pattern(8));
}

TEST_CASE("Calls of nobody stay so where the first call of a connection is somebody's") {
    // Its security context in the bind would be the one of all calls without a verifier.
    test::stack all(with_users());
    test::relay between(all.io, all.tcp_port);
    test::caller caller(all, "ncacn_ip_tcp:127.0.0.1[" + std::to_string(between.port()) + "]");
    REQUIRE(caller.open());
    auto bob = as("bob", "bob's word");
    bob.idempotent = true;
    const auto first = caller.begin(probe::echo, {}, bob, {});
    REQUIRE(all.run_until([&] { return first->done == 1; }));
    const auto his = caller.begin(probe::hold, test::pattern(20), bob, {});
    REQUIRE(all.run_until([&] { return all.held.size() == 1; }));
    between.reset(0);
    REQUIRE(all.run_until([&] { return all.held.size() == 2 || his->done != 0; }));
    const auto nobodys = caller.begin(probe::hold, test::pattern(20));
    REQUIRE(all.run_until([&] { return all.held.size() == 3 || nobodys->done != 0; }));
    REQUIRE(all.held.size() == 3);
    CHECK(answer(all, all.held[1]).first == "bob");
    CHECK(answer(all, all.held[2]).first.empty());
    REQUIRE(all.run_until([&] { return his->done == 1 && nobodys->done == 1; }));
    CHECK_FALSE(his->why);
    CHECK_FALSE(nobodys->why);
    CHECK(between.connections() == 2);
}

TEST_CASE("An identity of the level connect is refused: its calls would be the client's own") {
    test::stack all(with_users());
    test::caller caller(all, all.tcp_binding());
    REQUIRE(caller.open());
    const auto call = caller.begin(probe::echo, {}, as("bob", "bob's word", level::connect), {});
    REQUIRE(all.run_until([&] { return call->done == 1; }));
    CHECK(call->why.code == errc::bad_setting);
    CHECK(call->why.did_not_execute);
}

TEST_CASE("Level call is packet: of a client, of a call's identity, and of what a server demands") {
    // [MS-RPCE] 2.2.1.1.8: what asks for it does not fail, and no PDU says it.
    auto demanding = with_users();
    SUBCASE("of all interfaces") {
        demanding.adjust_server = [users = demanding.adjust_server](rpch::server_settings& s) {
            users(s);
            s.minimum_level = level::call;
        };
    }
    SUBCASE("of one interface") {
        demanding.prepare_server = [](rpch::server& s) { s.require_level(probe::id, level::call); };
    }
    test::stack all(demanding);
    test::relay between(all.io, all.tcp_port);
    std::vector<level> seen, wanted;
    between.leave_out([&](bool, rpch::byte_view pdu) {
        if (const auto said = test::auth_level_of(pdu)) seen.push_back(*said);
        return false;
    });
    const std::string binding = "ncacn_ip_tcp:127.0.0.1[" + std::to_string(between.port()) + "]";
    auto options = all.options();
    options.rpc_security = std::make_shared<asked>(client_of("alice", "alice's word"), wanted);
    options.rpc_level = level::call;
    test::caller caller(all, binding, options);
    REQUIRE_MESSAGE(caller.open(), caller.why().to_string());
    const auto hers = caller.begin(probe::hold, test::pattern(20));
    const auto bob = std::make_shared<rpch::call_identity>();
    bob->security = std::make_shared<asked>(client_of("bob", "bob's word"), wanted);
    bob->level = level::call;
    rpch::call_parameters as_bob;
    as_bob.identity = bob;
    const auto his = caller.begin(probe::hold, test::pattern(24), as_bob, {});
    REQUIRE(all.run_until([&] { return all.held.size() == 2; }));
    CHECK(answer(all, all.held[0]) == std::pair{std::string("alice"), level::packet});
    CHECK(answer(all, all.held[1]) == std::pair{std::string("bob"), level::packet});
    REQUIRE(all.run_until([&] { return hers->done == 1 && his->done == 1; }));
    CHECK_FALSE(hers->why);
    CHECK_FALSE(his->why);
    CHECK(wanted == std::vector{level::packet, level::packet}); // mechanisms know no level call
    CHECK(seen.size() >= 10); // two handshakes of three legs, two calls and their answers
    CHECK(std::count(seen.begin(), seen.end(), level::packet) == std::ssize(seen));
    options.rpc_level = level::connect;
    test::caller weak(all, binding, options);
    REQUIRE(weak.open());
    CHECK(weak.call(probe::echo)->why.code == rpch::rpc_status::access_denied);
    CHECK(all.server_said("a call at level connect was refused, packet is demanded"));
}

TEST_CASE("A user who is refused does not take the second attempts of others along") {
    // His own idempotent calls are not made again: their connection was never in use by him.
    test::stack all(with_users());
    test::relay between(all.io, all.tcp_port);
    auto options = all.options();
    options.rpc_security = client_of("alice", "alice's word");
    test::caller caller(all, "ncacn_ip_tcp:127.0.0.1[" + std::to_string(between.port()) + "]",
                        options);
    REQUIRE(caller.open());
    REQUIRE_FALSE(caller.call(probe::echo)->why);
    rpch::call_parameters again;
    again.idempotent = true;
    const auto hers = caller.begin(probe::hold, test::pattern(20), again, {});
    REQUIRE(all.run_until([&] { return all.held.size() == 1; }));
    auto wrong = as("bob", "not bob's word");
    wrong.idempotent = true;
    const auto one = caller.begin(probe::echo, {}, wrong, {});
    const auto other = caller.begin(probe::echo, {}, wrong, {});
    REQUIRE(all.run_until([&] {
        return one->done == 1 && other->done == 1 && (hers->done == 1 || all.held.size() == 2);
    }));
    CHECK(one->why);
    CHECK(other->why);
    REQUIRE(all.held.size() == 2);
    CHECK(answer(all, all.held[1]).first == "alice");
    REQUIRE(all.run_until([&] { return hers->done == 1; }));
    CHECK_FALSE(hers->why);
    CHECK(between.connections() == 2);
}

TEST_CASE("A call that is refused before it is sent begins no handshake of its identity") {
    // Which might fail, and end the connection for the calls of others.
    test::stack all(with_users());
    test::caller caller(all, all.tcp_binding());
    REQUIRE(caller.open());
    const auto who = std::make_shared<rpch::call_identity>();
    const auto toy = std::make_shared<test::toy_initiator>();
    who->security = toy;
    rpch::call_parameters as_toy;
    as_toy.identity = who;
    std::error_code said;
    bool done = false;
    const auto unknown = static_cast<std::uint16_t>(caller.context() + 1);
    caller.connection().async_call_raw(unknown, probe::echo, {}, as_toy,
                                       [&](std::error_code ec, rpch::raw_response) {
                                           said = ec;
                                           done = true;
                                       });
    REQUIRE(all.run_until([&] { return done; }));
    CHECK(said == errc::bad_context_id);
    CHECK(toy->asked.empty());
    CHECK_FALSE(caller.call(probe::echo)->why);
}
