// Security of RPC itself, from client to server whatever is between: NTLM, everything sealed. Both
// ends in one program, over TCP; ncacn_http bindings take the same options.
// usage: example_secure_calls
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include <rpch/auth/ntlm.hpp>
#include <rpch/client/client.hpp>
#include <rpch/server/server.hpp>
#include <rpch/transport/kerberos.hpp>
#include <rpch/transport/ntlm_environment.hpp>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

#include "greeter.hpp"

namespace auth = rpch::auth;

// The server believes those who have the password of an account. auth::ntlm_users takes the
// accounts from a users file, and own_policies.cpp from wherever you have them.
std::shared_ptr<auth::security_acceptor> ntlm_server() {
    auto accounts = std::make_shared<auth::ntlm_account_list>();
    accounts->add({.user = "alice", .nt_hash = auth::ntowf_v1("correct horse").value()});
    return std::make_shared<auth::ntlm_acceptor>(rpch::transport::system_ntlm_environment(),
                                                 std::move(accounts), auth::ntlm_server_settings{});
}

std::shared_ptr<auth::security_initiator> ntlm_client(const char* user, const char* password) {
    auth::ntlm_credentials who;
    who.user = user;
    who.password = rpch::core::secret(password);
    return std::make_shared<auth::ntlm_initiator>(rpch::transport::system_ntlm_environment(),
                                                  std::move(who));
}

// A handler sees who calls, proved, and how the call was protected on its way.
rpch::ndr::unique<std::u16string> greet(rpch::call_context& call, std::u16string word) {
    const auth::peer_identity* who = call.caller(); // null for nobody, if no level was demanded
    if (who == nullptr) throw rpch::rpc_fault(rpch::rpc_status::access_denied);
    std::printf("%s calls by %s at level %s\n", who->user.c_str(), who->mechanism.c_str(),
                std::string(auth::name(call.level())).c_str());
    return word + u", " + std::u16string(who->user.begin(), who->user.end()); // good for ASCII
}

// Kerberos, with the ticket of kinit, instead:
//     options.rpc_security = std::make_shared<rpch::transport::kerberos_initiator>();
//     options.rpc_target = "host/server.example.com"; // if the binding has another name for it
asio::awaitable<void> talk(std::string binding, rpch::client_options options) {
    try {
        auto service = co_await rpch::connect<greeter>(binding, options);
        const auto said = co_await service.call<greeter::greet>(u"hello");
        if (said) std::printf("%s\n", std::string(said->begin(), said->end()).c_str());
    } catch (const rpch::rpc_error& e) {
        const bool refused = e.code() == rpch::error_kind::refused; // rpc_status::access_denied
        std::printf("%s: %s\n", refused ? "refused" : "failed", e.what());
    }
}

asio::awaitable<void> talk_to(std::string binding, rpch::server& server) {
    rpch::client_options options;
    options.rpc_security = ntlm_client("alice", "correct horse");
    options.rpc_level = auth::authentication_level::privacy; // the default
    co_await talk(binding, options);

    options.rpc_security = ntlm_client("alice", "battery staple");
    co_await talk(binding, options); // the server's log knows why, we are only told "access denied"

    options.rpc_security = ntlm_client("alice", "correct horse");
    options.rpc_level = auth::authentication_level::integrity;
    co_await talk(binding, options); // signed but not sealed

    options.rpc_security = nullptr;
    co_await talk(binding, options); // nobody
    server.close();
}

int main() {
    asio::io_context io;
    rpch::server_settings settings;
    settings.rpc_security = {ntlm_server()}; // clients may use it; that they must is said below
    if (rpch::transport::has_kerberos())     // reads the system's keytab when a client comes
        settings.rpc_security.push_back(std::make_shared<rpch::transport::kerberos_acceptor>());
    settings.log = [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); };
    rpch::server server(io.get_executor(), settings);
    server.handle<greeter, greeter::greet>(&greet);
    server.require_level(greeter::id, auth::authentication_level::privacy);
    const auto port = server.listen("ncacn_ip_tcp:127.0.0.1");
    if (!port) return 1;

    const std::string binding = "ncacn_ip_tcp:127.0.0.1[" + std::to_string(*port) + "]";
    asio::co_spawn(io, talk_to(binding, server), [](const std::exception_ptr& failed) {
        if (failed) std::rethrow_exception(failed);
    });
    io.run();
}
