// rpch proxy: the RPC proxy.
#include "options.hpp"

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>

#include <rpch/proxy/proxy.hpp>
#include <rpch/transport/tls_context.hpp>

#include "front.hpp"
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
    settings.channel_lifetime = options.channel_lifetime;
    settings.in_receive_window = options.receive_window;
    settings.out_receive_window = options.receive_window;
    settings.connection_timeout = std::chrono::seconds(options.connection_timeout_s);
    settings.log = log_line;
    for (const std::string& text : options.tcp_backends) {
        const auto backend = rpch::parse_tcp_backend(text);
        if (!backend) return refuse("--tcp-backend wants HOST:PORT=HOST:PORT, not '" + text + "'");
        settings.tcp_backends.push_back(*backend);
    }
    const auto where = rpch::transport::parse_host_port(options.listen);
    if (!where) return refuse("--listen wants ADDRESS:PORT, not '" + options.listen + "'");

    std::shared_ptr<rpch::transport::tls_context> tls;
    if (!options.front.keytab.empty() && !uses_keytab(options.front.auth))
        return refuse("--keytab is for --auth negotiate");
    std::shared_ptr<file_accounts> accounts;
    std::string why = apply(options.front, settings, tls, accounts);
    if (!why.empty()) return refuse(why);
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
                                if (accounts) bad = accounts->read();
                                if (!bad.empty() || proxy->reload(options.valid_ports, &bad))
                                    log_line("reload refused, going on as before: " + bad);
                                else
                                    log_line("users file read again");
                            },
                        .drain_wait = std::chrono::seconds(options.drain_s)});
}

} // namespace tool
