// The interface of the sample server, registered with a server.
#ifndef RPCH_TOOL_SAMPLE_SERVICES_HPP
#define RPCH_TOOL_SAMPLE_SERVICES_HPP

#include <rpch/server/server.hpp>

namespace tool {

/// All ten operations of rpcecho.
void offer_rpcecho(rpch::server& server);

} // namespace tool

#endif
