// Serves the interface of greeter.hpp to RPC over HTTP clients from one process: no RPC proxy and
// no second port.
// usage: example_front_door [CERT.pem KEY.pem USERS]     (ends with Ctrl-C)
//   example_front_door                           plain HTTP, everybody: loopback only!
//   example_front_door cert.pem key.pem users    HTTPS and Basic; `rpch passwd` makes users
// Clients name it as their RpcProxy; which server and port they write does not matter:
//   ncacn_http:greeter[1,RpcProxy=127.0.0.1:PORT]
#include <csignal>
#include <cstdio>
#include <string>

#include <rpch/server/server.hpp>

#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>

#include "greeter.hpp"

namespace {
int complain(const std::string& what) {
    std::fprintf(stderr, "%s\n", what.c_str());
    return 1;
}

std::int32_t add(std::int32_t a, std::int32_t b) { return a + b; }

rpch::ndr::unique<std::u16string> greet(std::u16string who) { return u"hello, " + who; }
} // namespace

int main(int argc, char** argv) {
    if (argc != 1 && argc != 4)
        return complain("usage: example_front_door [CERT.pem KEY.pem USERS]");

    // The front door has the settings of an RPC proxy, and its defaults: they let nobody in.
    rpch::server_settings settings;
    settings.log = [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); };
    std::shared_ptr<rpch::transport::tls_context> tls;
    std::string why;
    if (argc == 4) {
        settings.front_door.allow_basic = true;
        settings.front_door.users_file = argv[3];
        rpch::transport::tls_server_options certificate;
        certificate.certificate_chain_file = argv[1];
        certificate.private_key_file = argv[2];
        const auto made = rpch::transport::tls_context::make_server(certificate, &why);
        if (!made) return complain(why);
        tls = *made;
    } else {
        settings.front_door.allow_anonymous = true;
        settings.front_door.allow_plain = true;
    }

    asio::io_context io;
    rpch::server server(io.get_executor(), settings);
    server.handle<greeter, greeter::add>(&add);
    server.handle<greeter, greeter::greet>(&greet);
    const auto port = server.listen_https({"127.0.0.1", 0}, tls, &why);
    if (!port) return complain(why.empty() ? port.error().message() : why);
    std::printf("listening %u\n", *port);
    std::fflush(stdout);

    asio::signal_set stop(io, SIGINT, SIGTERM);
    stop.async_wait([&](std::error_code, int) { server.close(); });
    io.run(); // until everything is closed
}
