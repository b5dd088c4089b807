#include <rpch/http/status.hpp>

namespace rpch::inline RPCH_ABI::http {

RPCH_DECL int http_status_for(const std::error_code& why) noexcept {
    if (why.category() == http_status_category()) return why.value();
    if (why == errc::http_head_too_large) return 431;
    if (why == errc::too_large) return 414;
    if (why == errc::http_length_required) return 411;
    if (why == errc::http_unknown_path) return 404;
    if (why == errc::http_unknown_method) return 405;
    if (why == errc::http_auth_required || why == errc::bad_credentials) return 401;
    if (why == errc::http_auth_needs_tls) return 403;
    if (why == errc::http_bad_target) return 503; // with RPC Error 6AB
    if (why == error_kind::protocol_violation) return 400;
    return 503;
}

RPCH_DECL rpc_status rpc_status_for(const std::error_code& why) noexcept {
    rpc_status status = rpc_status::server_unavailable;
    if (why.category() == rpc_status_category())
        status = static_cast<rpc_status>(why.value());
    else if (why == errc::http_bad_target)
        status = rpc_status::invalid_net_addr;
    else if (why == errc::too_many)
        status = rpc_status::server_too_busy;
    else if (why == std::errc::not_enough_memory)
        status = rpc_status::out_of_memory;
    else if (why == std::errc::too_many_files_open)
        status = rpc_status::out_of_resources;
    return may_be_reported(status) ? status : rpc_status::server_unavailable;
}

RPCH_DECL std::string_view reason_for(int status) noexcept {
    switch (status) {
    case 100: return "Continue";
    case 200: return "OK";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    default: return "Error";
    }
}

} // namespace rpch::inline RPCH_ABI::http
