// Lists the endpoints of a host.
#ifndef RPCH_CLIENT_ENDPOINT_LIST_HPP
#define RPCH_CLIENT_ENDPOINT_LIST_HPP

#include <string>
#include <vector>

#include <rpch/client/client.hpp>
#include <rpch/services/endpoint_map.hpp>

#include <asio/awaitable.hpp>

namespace rpch::inline RPCH_ABI {

/// Asks the endpoint mapper of a host for all its endpoints. Those of protocols that have no port
/// here (named pipes, local calls) are there with port 0; towers that do not decode are left out.
/// @param binding  of the mapper; without an endpoint it is where mappers are, see
///                 client_options::endpoint_mapper_port.
/// @param options  without an executor, the coroutine's is taken.
/// @throws rpc_error with everything known about the failure; errc::too_many if the mapper tells of
///         more than limits::listed_endpoints_max, or does not come to an end.
[[nodiscard]] RPCH_DECL asio::awaitable<std::vector<services::endpoint>>
list_endpoints(std::string binding, client_options options = {});

} // namespace rpch::inline RPCH_ABI

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/client/impl/endpoint_list.ipp>
#endif

#endif
