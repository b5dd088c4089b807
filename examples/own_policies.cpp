// Where a program puts its own judgement: whom the RPC proxy lets in (a credential store), who may
// do what (an access rule), and where the events go (a sink). The proxy is the server's front door
// here; the settings of a proxy that stands alone are the same. Both ends in one program.
// usage: example_own_policies
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <rpch/auth/ntlm.hpp>
#include <rpch/auth/ntlm_text.hpp>
#include <rpch/client/client.hpp>
#include <rpch/server/server.hpp>
#include <rpch/transport/ntlm_environment.hpp>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

namespace auth = rpch::auth;
namespace services = rpch::services;
using services::mgmt;

// A credential store: NT hashes, from wherever they are. It is asked while others wait, so one that
// is far away needs a cache.
struct staff_list final : auth::ntlm_accounts {
    std::optional<auth::ntlm_account> find(std::string_view user, std::string_view) const override {
        for (const char* name : {"alice", "bob"})
            if (auth::ntlm_equal_nocase(user, name))
                return auth::ntlm_account{.user = name,
                                          .nt_hash = auth::ntowf_v1("secret").value()};
        return std::nullopt;
    }
};

// An access rule, of the interface by which every DCE/RPC server is managed. The name counts only
// where the call itself was signed. Handlers of your own ask call_context::caller() alike.
bool may_manage(const services::caller& who, services::mgmt_operation what, std::uint32_t&) {
    const bool is_alice = who.level >= auth::authentication_level::packet && who.user == "alice";
    return is_alice || what == services::mgmt_operation::is_server_listening;
}

// An event sink: one line for each event, no secrets. It runs on the strand, so it must not block.
void record(const std::string& line) { std::printf("event: %s\n", line.c_str()); }

std::shared_ptr<auth::security_initiator> client_of(const char* user, const char* password) {
    auth::ntlm_credentials who;
    who.user = user;
    who.password = rpch::core::secret(password);
    return std::make_shared<auth::ntlm_initiator>(rpch::transport::system_ntlm_environment(),
                                                  std::move(who));
}

asio::awaitable<void> stop_as(std::string binding, const char* user, const char* password) {
    rpch::client_options options;
    options.http_auth = rpch::http_authentication::ntlm;
    options.http_initiator = client_of(user, password); // to the proxy,
    options.rpc_security = options.http_initiator;      // and to the server
    try {
        auto service = co_await rpch::connect<mgmt>(binding, options);
        const std::uint32_t status = co_await service.call<mgmt::stop_server_listening>();
        std::printf("%s stops the server: %s\n", user, status == 0 ? "done" : "refused");
    } catch (const rpch::rpc_error& e) {
        std::printf("%s: %s\n", user, e.what());
    }
}

asio::awaitable<void> talk(std::string binding, rpch::server& server) {
    co_await stop_as(binding, "mallory", "secret"); // not in the store
    co_await stop_as(binding, "bob", "secret");     // in the store, and the rule refuses
    co_await stop_as(binding, "alice", "secret");
    server.close();
}

int main() {
    const auto ntlm = std::make_shared<auth::ntlm_acceptor>(
        rpch::transport::system_ntlm_environment(), std::make_shared<staff_list>(),
        auth::ntlm_server_settings{});
    rpch::server_settings settings;
    settings.front_door.http_acceptors = {ntlm};
    settings.front_door.allow_plain = true; // on loopback, for want of a certificate
    settings.rpc_security = {ntlm};
    settings.log = &record;

    asio::io_context io;
    rpch::server server(io.get_executor(), settings);
    server.serve_mgmt({.allowed = &may_manage});
    const auto port = server.listen_https({"127.0.0.1", 0}, nullptr);
    if (!port) return 1;

    const std::string binding =
        "ncacn_http:here[1,RpcProxy=127.0.0.1:" + std::to_string(*port) + ",HttpUseTls=false]";
    asio::co_spawn(io, talk(binding, server), [](const std::exception_ptr& failed) {
        if (failed) std::rethrow_exception(failed);
    });
    io.run();
}
