#ifndef RPCH_TESTS_UNIT_DCERPC_SECURED_PAIR_HPP
#define RPCH_TESTS_UNIT_DCERPC_SECURED_PAIR_HPP

// A client's and a server's association with a toy mechanism, and whoever sits between them.

#include <rpch/dcerpc/client_association.hpp>
#include <rpch/dcerpc/server_association.hpp>

#include <functional>
#include <memory>
#include <variant>
#include <vector>

#include <doctest/doctest.h>

#include "tests/support/toy_security.hpp"
#include "tests/unit/dcerpc/pdus.hpp"

namespace test::secured {

using namespace rpch;
using namespace rpch::dcerpc;
using level = auth::authentication_level;

inline const interface_id other{"12345778-1234-abcd-ef00-0123456789ac", 1, 0};

struct settings {
    test::toy_rules client_rules{}, server_rules{};
    client_association_options client{};
    server_association_options server{};
    level minimum = level::none;
};

struct pair {
    std::vector<offered_interface> offered;
    association_groups groups{7};
    client_association client;
    server_association server;
    client_event_list told_client{};
    server_event_list told_server{};
    test::toy_rules rules;
    test::toy_context* mechanism = nullptr; // the client's newest
    // May change a PDU on its way, or empty it to drop it.
    std::function<void(test::bytes&)> to_server = [](test::bytes&) {};
    std::function<void(test::bytes&)> to_client = [](test::bytes&) {};
    std::vector<test::bytes> seen{}; // all that the client sent

    explicit pair(settings s = {})
        : offered{{test::rpcecho, {}, s.minimum}, {other, {}}},
          client(s.client),
          server(offered, groups, with(s)),
          rules(s.client_rules) {}
    static server_association_options with(const settings& s) {
        server_association_options o = s.server;
        o.security.push_back(std::make_shared<test::toy_acceptor>(s.server_rules));
        return o;
    }

    std::uint32_t secure(level l) {
        auto made = std::make_unique<test::toy_context>(rules, true);
        mechanism = made.get();
        const auto id = client.add_security({rules.provider, l, std::move(made)});
        REQUIRE(id);
        return *id;
    }
    std::uint32_t call(std::uint32_t security, test::bytes stub, std::uint16_t context = 0) {
        call_options o;
        o.context = context;
        o.opnum = 3;
        o.security = security;
        const auto id = client.begin_call(o, std::move(stub));
        REQUIRE(id);
        return *id;
    }
    // Moves everything; the server answers each call with its stub.
    void run(bool answering = true) {
        for (bool moved = true; moved;) {
            moved = false;
            while (client.has_output()) {
                auto pdu = test::next_output(client);
                if (pdu.empty()) break;
                seen.push_back(pdu);
                to_server(pdu);
                moved = true;
                if (!pdu.empty() && !server.closed_with())
                    static_cast<void>(server.on_pdu(pdu, told_server));
            }
            if (answering)
                for (auto& e : told_server)
                    if (auto* c = std::get_if<call_received>(&e); c != nullptr && !answered(c))
                        static_cast<void>(server.respond(c->call_id, c->stub));
            while (server.has_output()) {
                auto pdu = test::next_output(server);
                if (pdu.empty()) break;
                to_client(pdu);
                moved = true;
                if (!pdu.empty() && !client.closed_with())
                    static_cast<void>(client.on_pdu(pdu, told_client));
            }
        }
    }
    std::size_t answers_given = 0;
    bool answered(const call_received* c) {
        std::size_t index = 0;
        for (auto& e : told_server)
            if (auto* x = std::get_if<call_received>(&e)) {
                ++index;
                if (x == c) {
                    if (index <= answers_given) return true;
                    answers_given = index;
                    return false;
                }
            }
        return true;
    }
    template <class Event>
    std::vector<Event> client_events() const {
        std::vector<Event> out;
        for (const auto& e : told_client)
            if (const auto* x = std::get_if<Event>(&e)) out.push_back(*x);
        return out;
    }
    std::size_t received() const {
        std::size_t n = 0;
        for (const auto& e : told_server) n += std::holds_alternative<call_received>(e);
        return n;
    }
    const call_received& last_received() const {
        const call_received* out = nullptr;
        for (const auto& e : told_server)
            if (const auto* x = std::get_if<call_received>(&e)) out = x;
        REQUIRE(out != nullptr);
        return *out;
    }
};

inline bool is_request(const test::bytes& pdu) {
    return !pdu.empty() && peek_type(pdu) == pdu_type::request;
}
inline bool is_response(const test::bytes& pdu) {
    return !pdu.empty() && peek_type(pdu) == pdu_type::response;
}

} // namespace test::secured

#endif
