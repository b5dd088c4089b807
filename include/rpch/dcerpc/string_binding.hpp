// String bindings, [C706] 3.1 and [MS-RPCE] 2.1, with the network options of ncacn_http.
#ifndef RPCH_DCERPC_STRING_BINDING_HPP
#define RPCH_DCERPC_STRING_BINDING_HPP

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <rpch/core/uuid.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::dcerpc {

/// RPC protocol sequence.
enum class protocol_sequence : std::uint8_t { ncacn_ip_tcp, ncacn_http };
/// HttpAuthOption: how the client proves itself to the RPC proxy.
enum class http_auth_option : std::uint8_t { basic, ntlm, negotiate };

/// `host:port` of a network option. An IPv6 address stands without its brackets.
struct host_port {
    std::string host;
    std::optional<std::uint16_t> port{};
    bool operator==(const host_port&) const = default;
};

/// A parsed string binding:
/// `[object-uuid@]sequence:host[endpoint,option=value,...]`, where the bracket may be missing.
struct string_binding {
    std::optional<uuid> object{};
    protocol_sequence sequence = protocol_sequence::ncacn_ip_tcp;
    std::string host{}; ///< Network address; may be empty. An IPv6 address without brackets.
    std::optional<std::uint16_t> endpoint{}; ///< TCP port of the RPC server.
    // The rest only with ncacn_http.
    std::optional<host_port> rpc_proxy{};        ///< RpcProxy=host[:port]
    std::optional<host_port> http_proxy{};       ///< HttpProxy=host[:port]
    bool use_http_proxy = false;                 ///< HttpConnectionOption=UseHttpProxy
    std::optional<bool> http_use_tls{};          ///< HttpUseTls=true|false
    std::optional<http_auth_option> http_auth{}; ///< HttpAuthOption=basic|ntlm|negotiate

    bool operator==(const string_binding&) const = default;

    /// @return the canonical text; parses back to an equal value.
    [[nodiscard]] RPCH_DECL std::string to_string() const;
};

/// Parses a string binding. A backslash takes the next character literally; names of the sequence,
/// of options and of their fixed values are read without regard to case; `endpoint=` may be written
/// out. The host may be an IPv6 address, bare or in brackets.
/// @param why  borrowed; receives what is wrong, for people; may be null.
/// @errors errc::bad_binding: malformed, an unknown or repeated option, an option that the protocol
///         sequence does not have, a port outside 1 to 65535, or a host with blanks or control
///         characters or longer than limits::server_name_chars_max.
[[nodiscard]] RPCH_DECL result<string_binding> parse_string_binding(std::string_view text,
                                                                    std::string* why = nullptr);

} // namespace rpch::inline RPCH_ABI::dcerpc

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/dcerpc/impl/string_binding.ipp>
#endif

#endif
