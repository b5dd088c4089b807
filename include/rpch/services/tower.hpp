// Protocol towers: where an interface is spoken, as the endpoint mapper writes it; [C706]
// appendices I and L, [MS-RPCE] 2.2.1.2.
#ifndef RPCH_SERVICES_TOWER_HPP
#define RPCH_SERVICES_TOWER_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <rpch/core/bytes.hpp>
#include <rpch/core/uuid.hpp>
#include <rpch/ndr/transfer_syntax.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::services {

/// Protocol identifiers of the fourth floor that have a port; others are kept as numbers.
enum class tower_protocol : std::uint8_t {
    tcp = 0x07,  ///< ncacn_ip_tcp
    http = 0x1F, ///< ncacn_http
};

/// Protocol identifiers of floor 3: which RPC protocol it is.
enum class tower_rpc : std::uint8_t {
    connectionless = 0x0A,
    connection_oriented = 0x0B,
};

/// The most floors and octets of a tower that is read. Real ones have 4 to 6 floors, some 75
/// octets.
inline constexpr std::size_t tower_floors_max = 16;
inline constexpr std::size_t tower_bytes_max = 2048;

/// A tower of five floors: interface, transfer syntax, RPC protocol, port, IPv4 address.
struct tower {
    interface_id interface;
    interface_id transfer_syntax = ndr::ndr20_id;
    tower_rpc rpc = tower_rpc::connection_oriented;
    tower_protocol protocol = tower_protocol::tcp;
    std::uint16_t port = 0;                ///< 0 in a question, and for protocols without a port.
    std::array<std::uint8_t, 4> address{}; ///< 0.0.0.0 means the host that was asked.
    bool operator==(const tower&) const = default;
};

/// Decodes the octets of a tower; its integers are little-endian in every PDU, but port and address
/// are in network order. Floors above the fifth, and the content of floors of protocols we have no
/// name for, are skipped.
/// @param octets  borrowed for the call.
/// @errors errc::truncated; errc::trailing_bytes; errc::too_large above tower_bytes_max;
/// errc::too_many
///         above tower_floors_max; errc::bad_value if the first two floors are not UUIDs, the third
///         has no identifier, or a port or address is not as long as it must be.
RPCH_DECL result<tower> decode_tower(byte_view octets) noexcept;

/// @return the octets of a tower of five floors, 75 of them.
RPCH_DECL std::vector<std::byte> encode_tower(const tower& t);

} // namespace rpch::inline RPCH_ABI::services

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/services/impl/tower.ipp>
#endif

#endif
