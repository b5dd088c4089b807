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
    apply(options.channels, settings);
    settings.log = log_line;
    for (const std::string& text : options.tcp_backends) {
        const auto backend = rpch::parse_tcp_backend(text);
        if (!backend) return refuse("--tcp-backend wants HOST:PORT=HOST:PORT, not '" + text + "'");
        settings.tcp_backends.push_back(*backend);
    }
    if (options.replace_out_below != 0 && settings.tcp_backends.empty())
        return refuse("--replace-out-below is for --tcp-backend: other servers have their own");
    settings.replace_out_below = options.replace_out_below;
    std::string why;
    const auto where = parse_listen("--listen", options.listen, why);
    if (!where) return refuse(why);

    std::shared_ptr<rpch::transport::tls_context> tls;
    if (!options.front.keytab.empty() && !uses_keytab(options.front.auth))
        return refuse("--keytab is for --auth negotiate");
    if (!options.front.users.empty() && !options.front.auth.empty() &&
        !uses_users(options.front.auth))
        return refuse("--users is for --auth basic, ntlm and negotiate");
    std::shared_ptr<file_accounts> accounts;
    why = apply(options.front, settings, tls, accounts);
    if (!why.empty()) return refuse(why);
    raise_open_files();
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
    reloadable settled{
        .rules = [&](std::string* bad) { return proxy->reload(options.valid_ports, bad); },
        .accounts = {accounts},
        .tls = std::move(tls),
        .show =
            [&](auto current, auto fresh) {
                return proxy->replace_tls(std::move(current), std::move(fresh));
            }};
    return run_service(io, signals,
                       {.stop_listening = [&] { proxy->stop_listening(); },
                        .connections = [&] { return proxy->connections(); },
                        .close = [&] { proxy->close(); },
                        .reload = [&] { reload(options.front, settled); },
                        .drain_wait = std::chrono::seconds(options.drain_s)});
}

} // namespace tool
