#include <rpch/ndr/decoder.hpp>

#include <algorithm>
#include <array>

namespace rpch::inline RPCH_ABI::ndr {

RPCH_DECL std::error_code finish(decoder& in) noexcept {
    if (in.error()) return in.error();
    if (in.remaining() < 8) return {};
    // rpc_sec_verification_trailer.signature; it starts at a multiple of 4, [MS-RPCE] 2.2.2.13.
    static constexpr std::array<std::uint8_t, 8> signature{0x8a, 0xe3, 0x13, 0x71,
                                                           0x02, 0xf4, 0x36, 0x71};
    if (!in.align(4) || in.remaining() < signature.size()) return errc::trailing_bytes;
    const auto octets = std::as_bytes(std::span(signature));
    if (!std::equal(octets.begin(), octets.end(), in.rest().begin())) return errc::trailing_bytes;
    return {};
}

} // namespace rpch::inline RPCH_ABI::ndr
