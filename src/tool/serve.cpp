// rpch serve: the sample server.
#include "options.hpp"

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <rpch/server/server.hpp>
#include <rpch/services/rpcecho.hpp>
#include <rpch/transport/connector.hpp>

#include "front.hpp"
#include "rpc_security.hpp"
#include "sample_services.hpp"
#include "service_loop.hpp"

namespace tool {

namespace {

/// Stands for a protocol in the table below: RPC over HTTP, with the proxy roles in this process.
constexpr std::string_view over_https = "https";

/// One listener of the command line, in the order they are announced.
struct endpoint {
    const char* option;
    std::string_view protocol;
    const std::string& text;
    rpch::server& on;
};

int refuse(const std::string& why) {
    std::fprintf(stderr, "rpch serve: %s\n", why.c_str());
    return usage;
}

/// The binding that `rpch::server::listen` wants.
std::string binding_of(std::string_view protocol, const rpch::transport::host_port& where) {
    std::string out = std::string(protocol) + ":" + where.host;
    if (where.port != 0) out += "[" + std::to_string(where.port) + "]";
    return out;
}

/// @return what is wrong with options that would be ignored, or nothing.
std::string ignored(const serve_options& o) {
    const bool rpcecho = !o.http.empty() || !o.https.empty() || !o.tcp.empty();
    if (!rpcecho && o.epmap_http.empty() && o.epmap_tcp.empty())
        return "give at least one of --http, --https, --tcp, --epmap-http, --epmap-tcp";
    if (o.https.empty() && o.front.only_for_http())
        return "--cert, --key, --auth and --allow-plain are for --https";
    if (o.https.empty() && o.channels.any())
        return "--channel-lifetime, --receive-window and --connection-timeout are for --https";
    if (o.https.empty() && o.http.empty() && o.epmap_http.empty() && o.replace_out_below != 0)
        return "--replace-out-below is for --http, --https and --epmap-http";
    if (!o.front.users.empty() && !uses_users(o.rpc_auth) && !uses_users(o.front.auth))
        return "--users is for --rpc-auth ntlm or negotiate, and for --https with --auth basic, "
               "ntlm or negotiate";
    if (!o.front.keytab.empty() && !uses_keytab(o.rpc_auth) && !uses_keytab(o.front.auth))
        return "--keytab is for --rpc-auth kerberos or negotiate, and --auth negotiate";
    if (!rpcecho && o.auth_level != "none")
        return "--auth-level is for the sample server: --http, --https or --tcp";
    return {};
}

} // namespace

int run_serve(const serve_options& options) {
    asio::io_context io(1);
    service_signals signals(io);
    rpch::server_settings settings;
    settings.log = log_line;
    settings.replace_out_below = options.replace_out_below;
    std::shared_ptr<rpch::transport::tls_context> tls;
    std::shared_ptr<file_accounts> http_accounts;
    const std::string useless = ignored(options);
    if (!useless.empty()) return refuse(useless);
    std::string wrong_security;
    const auto security =
        make_acceptors({options.rpc_auth, options.front.users, options.front.keytab}, "--rpc-auth",
                       wrong_security);
    if (!security) return refuse(wrong_security);
    settings.rpc_security = security->list;
    const auto level = parse_level(options.auth_level);
    if (!level) return refuse("--auth-level " + options.auth_level + " is not a level");
    if (*level != rpch::auth::authentication_level::none && settings.rpc_security.empty())
        return refuse("--auth-level needs --rpc-auth");
    apply(options.channels, settings.front_door);
    if (!options.https.empty()) {
        const std::string wrong = apply(options.front, settings.front_door, tls, http_accounts);
        if (!wrong.empty()) return refuse(wrong);
    }
    rpch::server mapper(io.get_executor(), settings);
    rpch::server server(io.get_executor(), settings);
    server.require_level(rpch::services::rpcecho::id, *level);
    const std::vector<endpoint> endpoints{
        {"--http", "ncacn_http", options.http, server},
        {"--https", over_https, options.https, server},
        {"--tcp", "ncacn_ip_tcp", options.tcp, server},
        {"--epmap-http", "ncacn_http", options.epmap_http, mapper},
        {"--epmap-tcp", "ncacn_ip_tcp", options.epmap_tcp, mapper}};
    std::vector<std::pair<const endpoint*, rpch::transport::host_port>> wanted;
    for (const endpoint& each : endpoints) {
        if (each.text.empty()) continue;
        std::string why;
        const auto where = parse_listen(each.option, each.text, why);
        if (!where) return refuse(why);
        wanted.emplace_back(&each, *where);
    }
    raise_open_files();

    const auto known = std::make_shared<rpch::services::endpoint_map>();
    offer_rpcecho(server);
    server.serve_mgmt();
    server.publish_endpoints(known, {.annotation = "rpcecho"});
    mapper.serve_mgmt();
    mapper.serve_endpoint_mapper(known);
    for (const auto& [which, where] : wanted) {
        std::string why;
        const bool https = which->protocol == over_https;
        const auto port = https ? server.listen_https(where, tls, &why)
                                : which->on.listen(binding_of(which->protocol, where));
        if (!port && port.error() == rpch::errc::bad_setting && !why.empty()) return refuse(why);
        if (!port) {
            std::fprintf(stderr, "rpch serve: cannot listen on %s: %s\n", which->text.c_str(),
                         port.error().message().c_str());
            return failed;
        }
        announce(where.host, *port);
    }
    const bool front_door = !options.https.empty();
    reloadable settled{.rules =
                           [&](std::string* why) {
                               return front_door ? server.reload_users(why) : std::error_code{};
                           },
                       .accounts = {security->accounts, http_accounts},
                       .tls = std::move(tls),
                       .show =
                           [&](auto current, auto fresh) {
                               return server.replace_tls(std::move(current), std::move(fresh));
                           }};
    return run_service(io, signals,
                       {.stop_listening =
                            [&] {
                                server.stop_listening();
                                mapper.stop_listening();
                            },
                        .connections = [&] { return server.connections() + mapper.connections(); },
                        .close =
                            [&] {
                                server.close();
                                mapper.close();
                            },
                        .reload = [&] { reload(options.front, settled); },
                        .drain_wait = std::chrono::seconds(options.drain_s)});
}

} // namespace tool
