// A failure told to people: what, who said it, where, and what to do next.
#ifndef RPCH_FAILURE_HPP
#define RPCH_FAILURE_HPP

#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <rpch/error.hpp>

namespace rpch::inline RPCH_ABI {

/// Who said that something failed.
enum class origin : std::uint8_t {
    local,           ///< This program: a setting, a limit, a cancelled call.
    name_resolution, ///< The resolver.
    tcp,             ///< The network below the connection.
    tls,             ///< The TLS engine, about the peer's certificate or records.
    http_proxy,      ///< The HTTP proxy on the way to the RPC proxy, by a status code.
    http,            ///< The HTTP server in front of the RPC proxy, by a status code.
    rpc_proxy,       ///< The RPC proxy, by `RPC Error: n` in its response.
    rts,             ///< The tunnel: a channel or the virtual connection.
    bind,            ///< The RPC server, by bind_nak or a refused presentation context.
    security,        ///< The security provider, here or at the RPC server.
    fault,           ///< The RPC server, by a fault PDU.
    endpoint_mapper, ///< The endpoint mapper, by the status of its answer.
};

/// @return the origin in words, as it stands in messages.
[[nodiscard]] constexpr std::string_view name(origin who) noexcept {
    switch (who) {
    case origin::local: return "this program";
    case origin::name_resolution: return "name resolution";
    case origin::tcp: return "network";
    case origin::tls: return "TLS";
    case origin::http_proxy: return "HTTP proxy";
    case origin::http: return "HTTP server";
    case origin::rpc_proxy: return "RPC proxy";
    case origin::rts: return "virtual connection";
    case origin::bind: return "RPC server (bind)";
    case origin::security: return "RPC security";
    case origin::fault: return "RPC server (fault)";
    case origin::endpoint_mapper: return "endpoint mapper";
    }
    return "unknown";
}

/// Everything known about a failure.
struct failure {
    std::error_code code;
    origin said_by = origin::local;
    std::string where;            ///< "IN channel to gate.example.com:443", or empty.
    std::string detail;           ///< What the other side or the system said, or empty.
    std::string next_step;        ///< What a person can do about it, or empty.
    bool did_not_execute = false; ///< True if the call certainly did not run.

    explicit operator bool() const noexcept { return static_cast<bool>(code); }

    /// @return one line: who, where, what, detail, next step.
    [[nodiscard]] std::string to_string() const {
        std::string out(name(said_by));
        if (!where.empty()) out += ", " + where;
        out += ": " + code.message();
        if (!detail.empty()) out += " (" + detail + ")";
        if (!next_step.empty()) out += "; " + next_step;
        return out;
    }
};

/// Thrown by the coroutine forms of the client's operations.
class rpc_error : public std::system_error {
  public:
    explicit rpc_error(failure why)
        : std::system_error(why.code), why_(std::move(why)), text_(why_.to_string()) {}
    /// @return the failure in one line; see failure::to_string.
    [[nodiscard]] const char* what() const noexcept override { return text_.c_str(); }
    [[nodiscard]] const failure& why() const noexcept { return why_; }

  private:
    failure why_;
    std::string text_;
};

/// Thrown by a server's handler to answer a call with a fault PDU of this status, or with
/// nca_fault_unspec where a server may not say it (may_be_reported()).
class rpc_fault : public std::system_error {
  public:
    explicit rpc_fault(rpc_status status) : std::system_error(make_error_code(status)) {}
    [[nodiscard]] rpc_status status() const noexcept {
        return static_cast<rpc_status>(code().value());
    }
};

} // namespace rpch::inline RPCH_ABI

#endif
