#include <rpch/services/tower.hpp>

#include <algorithm>

#include <rpch/core/reader.hpp>
#include <rpch/core/writer.hpp>

namespace rpch::inline RPCH_ABI::services {

namespace detail {

/// The protocol identifier of a floor that names a UUID, [C706] appendix I.
inline constexpr std::uint8_t uuid_floor = 0x0D;
/// The protocol identifier of the floor with an IPv4 address.
inline constexpr std::uint8_t ip_floor = 0x09;
inline constexpr std::size_t tower_bytes = 75;

/// One floor: the left side says what it is, the right side where.
struct tower_floor {
    byte_view left;
    byte_view right;
    [[nodiscard]] std::uint8_t protocol() const noexcept {
        return left.empty() ? std::uint8_t{0} : std::to_integer<std::uint8_t>(left[0]);
    }
};

inline result<tower_floor> take_floor(core::reader& in) noexcept {
    tower_floor floor;
    for (byte_view* side : {&floor.left, &floor.right}) {
        const auto size = in.take_u16();
        if (!size) return fail(errc::truncated);
        const auto bytes = in.take(*size);
        if (!bytes) return fail(errc::truncated);
        *side = *bytes;
    }
    return floor;
}

/// Floors 1 and 2: UUID and major version on the left, minor version on the right.
inline result<interface_id> identity_of(const tower_floor& floor) noexcept {
    if (floor.protocol() != uuid_floor || floor.left.size() != 19 || floor.right.size() != 2)
        return fail(errc::bad_value);
    const auto left = floor.left.first<19>();
    return interface_id{uuid::decode(left.subspan<1, 16>(), core::byte_order::little),
                        core::load_le16<17>(left), core::load_le16<0>(floor.right.first<2>())};
}

inline void put_identity(core::writer& out, const interface_id& id) noexcept {
    std::array<std::byte, 16> wire{};
    id.id.encode(wire, core::byte_order::little);
    out.put_u16(19);
    out.put_u8(uuid_floor);
    out.put_bytes(wire);
    out.put_u16(id.major);
    out.put_u16(2);
    out.put_u16(id.minor);
}

/// Reads what floors 3 to 5 say into `t`.
inline std::error_code read_floor(std::size_t number, const tower_floor& floor, tower& t) noexcept {
    if (floor.left.empty()) return errc::bad_value;
    if (number == 3) t.rpc = static_cast<tower_rpc>(floor.protocol());
    if (number == 4) {
        t.protocol = static_cast<tower_protocol>(floor.protocol());
        if (t.protocol != tower_protocol::tcp && t.protocol != tower_protocol::http) return {};
        if (floor.right.size() != 2) return errc::bad_value;
        t.port = core::load<std::uint16_t>(floor.right.data(), core::byte_order::big);
    }
    if (number == 5 && floor.protocol() == ip_floor) {
        if (floor.right.size() != t.address.size()) return errc::bad_value;
        std::transform(floor.right.begin(), floor.right.end(), t.address.begin(),
                       [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
    }
    return {};
}
} // namespace detail

RPCH_DECL result<tower> decode_tower(byte_view octets) noexcept {
    if (octets.size() > tower_bytes_max) return fail(errc::too_large);
    core::reader in(octets);
    const auto floors = in.take_u16();
    if (!floors) return fail(errc::truncated);
    if (*floors > tower_floors_max) return fail(errc::too_many);
    if (*floors < 3) return fail(errc::bad_value);
    tower t;
    for (std::size_t number = 1; number <= *floors; ++number) {
        const auto floor = detail::take_floor(in);
        if (!floor) return fail(floor.error());
        if (number <= 2) {
            const auto id = detail::identity_of(*floor);
            if (!id) return fail(id.error());
            (number == 1 ? t.interface : t.transfer_syntax) = *id;
        } else if (const auto why = detail::read_floor(number, *floor, t)) {
            return fail(why);
        }
    }
    if (in.remaining() != 0) return fail(errc::trailing_bytes);
    return t;
}

RPCH_DECL std::vector<std::byte> encode_tower(const tower& t) {
    std::vector<std::byte> octets(detail::tower_bytes);
    core::writer out(octets);
    out.put_u16(5);
    detail::put_identity(out, t.interface);
    detail::put_identity(out, t.transfer_syntax);
    out.put_u16(1);
    out.put_u8(static_cast<std::uint8_t>(t.rpc));
    out.put_u16(2);
    out.put_u16(0); // minor version of the RPC protocol
    out.put_u16(1);
    out.put_u8(static_cast<std::uint8_t>(t.protocol));
    out.put_u16(2);
    out.put_u8(static_cast<std::uint8_t>(t.port >> 8));
    out.put_u8(static_cast<std::uint8_t>(t.port & 0xFF));
    out.put_u16(1);
    out.put_u8(detail::ip_floor);
    out.put_u16(4);
    out.put_bytes(std::as_bytes(std::span(t.address)));
    return octets;
}

} // namespace rpch::inline RPCH_ABI::services
