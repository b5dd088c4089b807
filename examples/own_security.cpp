// A security provider of one's own (the toy of shared_key.hpp) between client and server, at level
// integrity: the interfaces of rpch/auth/security_context.hpp, implemented and used.
// usage: example_own_security
#include <cstdio>
#include <exception>
#include <memory>
#include <string>

#include <rpch/client/client.hpp>
#include <rpch/server/server.hpp>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

#include "greeter.hpp"
#include "shared_key.hpp"

namespace auth = rpch::auth;
using auth::authentication_level;

std::int32_t add(rpch::call_context& call, std::int32_t a, std::int32_t b) {
    const auth::peer_identity* who = call.caller();
    if (who == nullptr) throw rpch::rpc_fault(rpch::rpc_status::access_denied);
    std::printf("%s calls by %s\n", who->user.c_str(), who->mechanism.c_str());
    return a + b;
}

asio::awaitable<void> talk(std::string binding, const char* key, authentication_level level) {
    rpch::client_options options;
    options.rpc_security = std::make_shared<shared_key::mechanism>(key);
    options.rpc_level = level;
    try {
        auto service = co_await rpch::connect<greeter>(binding, options);
        std::printf("40 + 2 = %d\n", co_await service.call<greeter::add>(40, 2));
    } catch (const rpch::rpc_error& e) {
        std::printf("%s\n", e.what());
    }
}

asio::awaitable<void> talk_to(std::string binding, rpch::server& server) {
    co_await talk(binding, "the key", authentication_level::integrity);
    co_await talk(binding, "another key", authentication_level::integrity); // bad_credentials
    co_await talk(binding, "the key", authentication_level::privacy); // security_not_supported
    server.close();
}

// What the associations do with the contexts of both ends, without a network: a context is a
// machine, so that its failures are easy to try.
void show_altered() {
    shared_key::mechanism both("k");
    const auth::security_options options{.level = authentication_level::integrity};
    const auto client = both.initiate(options).value();
    const auto server = both.accept(options).value();
    const auto nonce = client->step({}).value();
    const auto nonce_and_proof = server->step(nonce).value();
    const auto proof = client->step(nonce_and_proof).value();
    if (!server->step(proof).value().empty() || !server->is_established()) return;

    std::string stub = "pay 10";
    const auth::protected_message message{.body = std::as_writable_bytes(std::span(stub))};
    shared_key::bytes signature(client->signature_bytes(false));
    if (client->protect(false, message, signature)) return;
    stub = "pay 99";
    std::printf("altered: %s\n", server->unprotect(false, message, signature).message().c_str());
}

int main() {
    show_altered();
    asio::io_context io;
    rpch::server_settings settings;
    settings.rpc_security = {std::make_shared<shared_key::mechanism>("the key")};
    rpch::server server(io.get_executor(), settings);
    server.handle<greeter, greeter::add>(&add);
    server.require_level(greeter::id, authentication_level::integrity);
    const auto port = server.listen("ncacn_ip_tcp:127.0.0.1");
    if (!port) return 1;

    const std::string binding = "ncacn_ip_tcp:127.0.0.1[" + std::to_string(*port) + "]";
    asio::co_spawn(io, talk_to(binding, server), [](const std::exception_ptr& failed) {
        if (failed) std::rethrow_exception(failed);
    });
    io.run();
}
