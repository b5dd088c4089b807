// HTTP status codes, and which failure is answered with which.
#ifndef RPCH_HTTP_STATUS_HPP
#define RPCH_HTTP_STATUS_HPP

#include <optional>
#include <string_view>
#include <system_error>

#include <rpch/error.hpp>

namespace rpch::inline RPCH_ABI::http {

/// @return the HTTP status that answers a request which failed with `why`: 400, 401, 403, 404, 405,
///         411, 414, 431, or 503 for all that the RPC proxy itself could not do.
[[nodiscard]] RPCH_DECL int http_status_for(const std::error_code& why) noexcept;

/// @return the number of the failure response that tells a client of `why`, [MS-RPCH] 2.1.2.1.3.
/// Only
///         numbers that may stand there: what [MS-RPCE] 3.3.3.5.1 forbids becomes
///         server_unavailable.
[[nodiscard]] RPCH_DECL rpc_status rpc_status_for(const std::error_code& why) noexcept;

/// @return the reason phrase of a status, RFC 9110 15; "Error" for one that is not known here.
[[nodiscard]] RPCH_DECL std::string_view reason_for(int status) noexcept;

} // namespace rpch::inline RPCH_ABI::http

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/http/impl/status.ipp>
#endif

#endif
