// What the wire says about the protection of a PDU.
#ifndef RPCH_TESTS_SUPPORT_AUTH_LEVEL_HPP
#define RPCH_TESTS_SUPPORT_AUTH_LEVEL_HPP

#include <optional>

#include <rpch/auth/security_context.hpp>
#include <rpch/dcerpc/common_header.hpp>
#include <rpch/dcerpc/sec_trailer.hpp>

namespace test {

/// @param pdu  borrowed; whole.
/// @return the auth_level of its sec_trailer; nothing for a PDU without one.
inline std::optional<rpch::auth::authentication_level> auth_level_of(rpch::byte_view pdu) {
    using namespace rpch::dcerpc;
    const auto header = decode_common_header(pdu);
    if (!header || header->auth_length == 0) return std::nullopt;
    const rpch::byte_view trailer = pdu.last(sec_trailer_bytes + header->auth_length);
    return static_cast<rpch::auth::authentication_level>(trailer[1]);
}

} // namespace test

#endif
