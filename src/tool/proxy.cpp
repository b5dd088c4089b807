// rpch proxy: the RPC proxy.
#include "options.hpp"

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>

#include <rpch/proxy/proxy.hpp>
#include <rpch/transport/tls_context.hpp>

#include "service_loop.hpp"

namespace tool {

namespace {

int refuse(const std::string& why) {
    std::fprintf(stderr, "rpch proxy: %s\n", why.c_str());
    return usage;
}

} // namespace

int run_proxy(const proxy_options& options) {
    rpch::proxy_settings settings;
    settings.valid_ports = options.valid_ports;
    settings.users_file = options.users;
    settings.allow_plain = options.allow_plain;
    settings.channel_lifetime = options.channel_lifetime;
    settings.in_receive_window = options.receive_window;
    settings.out_receive_window = options.receive_window;
    settings.connection_timeout = std::chrono::seconds(options.connection_timeout_s);
    settings.log = log_line;
    for (const std::string& scheme : options.auth) {
        if (scheme == "none")
            settings.allow_anonymous = true;
        else if (scheme == "basic")
            settings.allow_basic = true;
        else
            return refuse("--auth " + scheme + " is not supported; none and basic are");
    }
    if (options.auth.empty())
        return refuse("say who may log on: --auth basic with --users, or --auth none");
    if (options.cert.empty() && !options.allow_plain)
        return refuse("give --cert and --key, or --allow-plain for HTTP without TLS");
    for (const std::string& text : options.tcp_backends) {
        const auto backend = rpch::parse_tcp_backend(text);
        if (!backend) return refuse("--tcp-backend wants HOST:PORT=HOST:PORT, not '" + text + "'");
        settings.tcp_backends.push_back(*backend);
    }
    const auto where = rpch::transport::parse_host_port(options.listen);
    if (!where) return refuse("--listen wants ADDRESS:PORT, not '" + options.listen + "'");

    std::string why;
    std::shared_ptr<rpch::transport::tls_context> tls;
    if (!options.cert.empty()) {
        rpch::transport::tls_server_options certificate;
        certificate.certificate_chain_file = options.cert;
        certificate.private_key_file = options.key;
        auto made = rpch::transport::tls_context::make_server(certificate, &why);
        if (!made) return refuse(why.empty() ? made.error().message() : why);
        tls = std::move(*made);
    }
    asio::io_context io(1);
    service_signals signals(io);
    auto proxy = rpch::proxy::make(io.get_executor(), settings, &why);
    if (!proxy) return refuse(why.empty() ? proxy.error().message() : why);
    const auto port = proxy->listen(*where, tls);
    if (!port) {
        std::fprintf(stderr, "rpch proxy: cannot listen on %s: %s\n", options.listen.c_str(),
                     port.error().message().c_str());
        return failed;
    }
    announce(where->host, *port);
    return run_service(io, signals,
                       {.stop_listening = [&] { proxy->stop_listening(); },
                        .connections = [&] { return proxy->connections(); },
                        .close = [&] { proxy->close(); },
                        .reload =
                            [&] {
                                std::string bad;
                                if (proxy->reload(options.valid_ports, &bad))
                                    log_line("reload refused, going on as before: " + bad);
                                else
                                    log_line("users file read again");
                            },
                        .drain_wait = std::chrono::seconds(options.drain_s)});
}

} // namespace tool
