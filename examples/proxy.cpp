// Lets clients from outside reach RPC servers inside, by RPC over HTTP.
// usage: example_proxy VALID_PORTS [CERT.pem KEY.pem USERS]     (ends with Ctrl-C)
//   example_proxy '127.0.0.1:49152'                       plain HTTP, everybody: loopback only!
//   example_proxy 'backend:593' cert.pem key.pem users    HTTPS and Basic; `rpch passwd` makes
//   users
#include <csignal>
#include <cstdio>
#include <string>

#include <rpch/proxy/proxy.hpp>

#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>

namespace {
int complain(const std::string& what) {
    std::fprintf(stderr, "%s\n", what.c_str());
    return 1;
}
} // namespace

int main(int argc, char** argv) {
    if (argc != 2 && argc != 5)
        return complain("usage: example_proxy VALID_PORTS [CERT.pem KEY.pem USERS]");
    const bool secure = argc == 5;

    // The defaults refuse everything: whatever is allowed is written down here.
    rpch::proxy_settings settings;
    settings.valid_ports = argv[1];
    settings.log = [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); };
    std::shared_ptr<rpch::transport::tls_context> tls;
    std::string why;
    if (secure) {
        settings.allow_basic = true;
        settings.users_file = argv[4];
        rpch::transport::tls_server_options certificate;
        certificate.certificate_chain_file = argv[2];
        certificate.private_key_file = argv[3];
        const auto made = rpch::transport::tls_context::make_server(certificate, &why);
        if (!made) return complain(why);
        tls = *made;
    } else {
        settings.allow_anonymous = true;
        settings.allow_plain = true;
    }

    asio::io_context io;
    auto proxy = rpch::proxy::make(io.get_executor(), settings, &why);
    if (!proxy) return complain(why);
    const auto port = proxy->listen({"127.0.0.1", 0}, tls);
    if (!port) return complain(port.error().message());
    std::printf("listening %u\n", *port);
    std::fflush(stdout);

    asio::signal_set stop(io, SIGINT, SIGTERM);
    stop.async_wait([&](std::error_code, int) { proxy->close(); });
    io.run(); // until everything is closed
}
