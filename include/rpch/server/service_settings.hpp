// Settings of the services that a server offers beside an application's: mgmt, and what an endpoint
// mapper tells of it.
#ifndef RPCH_SERVER_SERVICE_SETTINGS_HPP
#define RPCH_SERVER_SERVICE_SETTINGS_HPP

#include <string>
#include <vector>

#include <rpch/core/uuid.hpp>
#include <rpch/server/call_context.hpp>
#include <rpch/services/caller.hpp>
#include <rpch/services/mgmt.hpp>

namespace rpch::inline RPCH_ABI {

/// What `server::serve_mgmt` tells, and to whom.
struct mgmt_settings {
    /// Decides about each call; without it everything is allowed but stop_server_listening.
    services::mgmt_rule allowed{};
    /// Answers of inq_princ_name: one name for each authentication service that has one.
    std::vector<services::server_principal> principals{};
};

/// How the endpoints of a server stand in an endpoint map.
struct publication {
    std::string annotation{};    ///< For people; at most 63 characters are kept.
    std::vector<uuid> objects{}; ///< Objects the server has; none stands for any object.
};

namespace detail {

/// @return the caller of a call, as services see it.
[[nodiscard]] RPCH_DECL services::caller caller_of(const call_context& call);

} // namespace detail

} // namespace rpch::inline RPCH_ABI

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/server/impl/service_settings.ipp>
#endif

#endif
