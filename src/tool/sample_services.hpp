// The interfaces of the sample server, registered with a server.
#ifndef RPCH_TOOL_SAMPLE_SERVICES_HPP
#define RPCH_TOOL_SAMPLE_SERVICES_HPP

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <rpch/core/uuid.hpp>
#include <rpch/server/server.hpp>
#include <rpch/services/endpoint_mapper.hpp>

namespace tool {

/// Grows while the listeners open; read by the endpoint mapper's handlers afterwards.
using known_endpoints = rpch::services::endpoint_map;

rpch::interface_id rpcecho_id();
rpch::interface_id endpoint_mapper_id();

/// The entries of one listener: every interface it offers, at its protocol and port.
void add_endpoint(known_endpoints& known, bool http, const std::string& host, std::uint16_t port,
                  rpch::interface_id interface, const std::string& annotation);
/// All ten operations of rpcecho.
void offer_rpcecho(rpch::server& server);
/// The management interface, telling of `interfaces`.
void offer_mgmt(rpch::server& server, std::vector<rpch::interface_id> interfaces);
/// ept_map and ept_lookup over `endpoints`.
void offer_endpoint_mapper(rpch::server& server, std::shared_ptr<known_endpoints> endpoints);

} // namespace tool

#endif
