// A web server, say, that calls for its users: one connection, and each call under the security of
// the user it is made for. The server answers by callbacks, from a thread of its own. Calls that do
// no harm twice are marked so, and survive the loss of the connection. Both ends in one program.
// usage: example_many_users
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include <rpch/auth/ntlm.hpp>
#include <rpch/client/client.hpp>
#include <rpch/server/server.hpp>
#include <rpch/transport/ntlm_environment.hpp>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <asio/thread_pool.hpp>

#include "greeter.hpp"

namespace auth = rpch::auth;

std::shared_ptr<auth::security_acceptor> ntlm_server() {
    auto accounts = std::make_shared<auth::ntlm_account_list>();
    for (const char* name : {"web", "alice", "bob"})
        accounts->add({.user = name, .nt_hash = auth::ntowf_v1("correct horse").value()});
    return std::make_shared<auth::ntlm_acceptor>(rpch::transport::system_ntlm_environment(),
                                                 std::move(accounts), auth::ntlm_server_settings{});
}

std::shared_ptr<auth::security_initiator> ntlm_client(const char* user) {
    auth::ntlm_credentials who;
    who.user = user;
    who.password = rpch::core::secret("correct horse");
    return std::make_shared<auth::ntlm_initiator>(rpch::transport::system_ntlm_environment(),
                                                  std::move(who));
}

// How calls for one user are made. The connection logs the user on with the first of them, so there
// is one object for each user, which is kept.
rpch::call_parameters calls_of(const char* user) {
    auto who = std::make_shared<rpch::call_identity>();
    who->security = ntlm_client(user);
    rpch::call_parameters out;
    out.identity = std::move(who);
    out.idempotent = true; // greeting twice does no harm: made again if the connection is lost
    return out;
}

asio::awaitable<void> talk(std::string binding, rpch::server& server) {
    rpch::client_options options;
    options.rpc_security = ntlm_client("web"); // whose connection it is
    auto service = co_await rpch::connect<greeter>(binding, options);
    const rpch::call_parameters alice = calls_of("alice");
    const rpch::call_parameters bob = calls_of("bob");
    for (const rpch::call_parameters& user : {alice, bob, rpch::call_parameters{}, alice}) {
        const auto said = co_await service.with(user).call<greeter::greet>(u"hello");
        if (said) std::printf("%s\n", std::string(said->begin(), said->end()).c_str());
    }
    server.close();
}

int main() {
    asio::io_context io;
    asio::thread_pool workers(1); // for what may block: a database, say
    rpch::server_settings settings;
    settings.rpc_security = {ntlm_server()};
    rpch::server server(io.get_executor(), settings);

    // A callback takes the operation's parameters and, behind them, the reply: a function that may
    // be kept, and called once, from any thread. If nobody calls it, the caller gets a fault.
    server.handle<greeter, greeter::greet>(
        [&](rpch::call_context& call, const std::u16string& word, rpch::reply<greeter::greet> say) {
            asio::post(workers, [call, word, say] { // of the context a copy: `call` ends with us
                const std::string& who = call.caller()->user;
                say(word + u", " + std::u16string(who.begin(), who.end())); // good for ASCII
            });
        });
    server.require_level(greeter::id, auth::authentication_level::privacy);
    const auto port = server.listen("ncacn_ip_tcp:127.0.0.1");
    if (!port) return 1;

    asio::co_spawn(io, talk("ncacn_ip_tcp:127.0.0.1[" + std::to_string(*port) + "]", server),
                   [](const std::exception_ptr& failed) {
                       if (failed) std::rethrow_exception(failed);
                   });
    io.run();
    workers.join();
}
