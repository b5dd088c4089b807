// rpch serve: the sample server.
#include "options.hpp"

#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <rpch/server/server.hpp>
#include <rpch/transport/connector.hpp>

#include "sample_services.hpp"
#include "service_loop.hpp"

namespace tool {

namespace {

/// One listener of the command line, in the order they are announced.
struct endpoint {
    const char* option;
    const char* protocol;
    const std::string& text;
    rpch::server& on;
};

int refuse(const std::string& why) {
    std::fprintf(stderr, "rpch serve: %s\n", why.c_str());
    return usage;
}

/// The binding that `rpch::server::listen` wants.
std::string binding_of(const char* protocol, const rpch::transport::host_port& where) {
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
    rpch::server server(io.get_executor(), settings);
    rpch::server mapper(io.get_executor(), settings);
    const std::vector<endpoint> endpoints{
        {"--http", "ncacn_http", options.http, server},
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
        return refuse("give at least one of --http, --tcp, --epmap-http, --epmap-tcp");

    auto known = std::make_shared<known_endpoints>();
    offer_rpcecho(server);
    offer_mgmt(server, {rpcecho_id()});
    offer_mgmt(mapper, {endpoint_mapper_id()});
    offer_endpoint_mapper(mapper, known);
    for (const auto& [which, where] : wanted) {
        const auto port = which->on.listen(binding_of(which->protocol, where));
        if (!port) {
            std::fprintf(stderr, "rpch serve: cannot listen on %s: %s\n", which->text.c_str(),
                         port.error().message().c_str());
            return failed;
        }
        if (&which->on == &server)
            add_endpoint(*known, which->protocol == std::string("ncacn_http"), where.host, *port,
                         rpcecho_id(), "rpcecho");
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
                        .reload = {}});
}

} // namespace tool
