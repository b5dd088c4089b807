// rpch serve: the sample server.
#include "options.hpp"

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

} // namespace

int run_serve(const serve_options& options) {
    asio::io_context io(1);
    service_signals signals(io);
    rpch::server_settings settings;
    settings.log = log_line;
    std::shared_ptr<rpch::transport::tls_context> tls;
    std::shared_ptr<file_accounts> http_accounts;
    if (options.https.empty() && options.front.only_for_http())
        return refuse("--cert, --key, --auth and --allow-plain are for --https");
    if (options.https.empty() && options.rpc_auth.empty() && !options.front.users.empty())
        return refuse("--users is for --https and for --rpc-auth");
    if (!options.front.keytab.empty() && !uses_keytab(options.rpc_auth) &&
        !uses_keytab(options.front.auth))
        return refuse("--keytab is for --rpc-auth kerberos or negotiate, and --auth negotiate");
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
        const auto where = rpch::transport::parse_host_port(each.text);
        if (!where)
            return refuse(std::string(each.option) + " wants ADDRESS:PORT, not '" + each.text +
                          "'");
        wanted.emplace_back(&each, *where);
    }
    if (wanted.empty())
        return refuse("give at least one of --http, --https, --tcp, --epmap-http, --epmap-tcp");

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
                        .reload =
                            [&] {
                                if (options.front.users.empty()) return;
                                std::string bad;
                                for (const auto& each : {security->accounts, http_accounts})
                                    if (each && bad.empty()) bad = each->read();
                                if (!bad.empty() ||
                                    (!options.https.empty() && server.reload_users(&bad)))
                                    log_line("reload refused, going on as before: " + bad);
                                else
                                    log_line("users file read again");
                            }});
}

} // namespace tool
