// The three messages of NTLM and the pairs in them. [MS-NLMP] 2.2. Codec only: form, not meaning.
#ifndef RPCH_AUTH_NTLM_MESSAGES_HPP
#define RPCH_AUTH_NTLM_MESSAGES_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <rpch/core/bytes.hpp>
#include <rpch/limits.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::auth {

/// Bits of NegotiateFlags, [MS-NLMP] 2.2.2.5. Those that nothing here reads are left out.
namespace ntlm_flag {
inline constexpr std::uint32_t unicode = 0x0000'0001;
inline constexpr std::uint32_t oem = 0x0000'0002;
inline constexpr std::uint32_t request_target = 0x0000'0004;
inline constexpr std::uint32_t sign = 0x0000'0010;
inline constexpr std::uint32_t seal = 0x0000'0020;
inline constexpr std::uint32_t datagram = 0x0000'0040;
inline constexpr std::uint32_t ntlm = 0x0000'0200;
inline constexpr std::uint32_t anonymous = 0x0000'0800;
inline constexpr std::uint32_t always_sign = 0x0000'8000;
inline constexpr std::uint32_t target_is_domain = 0x0001'0000;
inline constexpr std::uint32_t target_is_server = 0x0002'0000;
inline constexpr std::uint32_t extended_security = 0x0008'0000;
inline constexpr std::uint32_t target_info = 0x0080'0000;
inline constexpr std::uint32_t version = 0x0200'0000;
inline constexpr std::uint32_t key_128 = 0x2000'0000;
inline constexpr std::uint32_t key_exchange = 0x4000'0000;
inline constexpr std::uint32_t key_56 = 0x8000'0000;
} // namespace ntlm_flag

/// AvId of an AV_PAIR, [MS-NLMP] 2.2.2.1.
enum class ntlm_av : std::uint16_t {
    end = 0,
    netbios_computer = 1,
    netbios_domain = 2,
    dns_computer = 3,
    dns_domain = 4,
    dns_tree = 5,
    flags = 6,     ///< 4 bytes.
    timestamp = 7, ///< FILETIME.
    single_host = 8,
    target_name = 9,
    channel_bindings = 10, ///< MD5, 16 bytes.
};
/// Bits of the pair `flags`.
inline constexpr std::uint32_t ntlm_av_flag_mic = 0x2; ///< The AUTHENTICATE has a MIC.

/// The VERSION structure, [MS-NLMP] 2.2.2.10: for debugging, says the text.
using ntlm_version = std::array<std::byte, 8>;
/// What we send: Windows 10 as most peers know it, NTLMSSP revision 15.
inline constexpr ntlm_version ntlm_our_version{std::byte{10},   std::byte{0}, std::byte{0x61},
                                               std::byte{0x4A}, std::byte{0}, std::byte{0},
                                               std::byte{0},    std::byte{15}};

struct ntlm_av_pair {
    ntlm_av id{};
    byte_view value{}; ///< Borrowed.
};

/// The pairs of a TargetInfo in their order, without the one that ends it. Borrows from the bytes
/// it was decoded from.
struct ntlm_av_pairs {
    std::array<ntlm_av_pair, limits::ntlm_av_pairs_max> pairs{};
    std::size_t count = 0;

    /// @return the value of a pair, or nothing if it is not there.
    [[nodiscard]] RPCH_DECL std::optional<byte_view> find(ntlm_av id) const noexcept;
    /// @return the value of the pair `flags`; 0 if it is not there.
    [[nodiscard]] RPCH_DECL std::uint32_t flags() const noexcept;
};

/// Decodes AV_PAIRs up to MsvAvEOL; what follows is ignored, as [MS-NLMP] 4.2.4 has zeros there.
/// @errors errc::truncated if the bytes end before MsvAvEOL does; errc::too_many above
///         limits::ntlm_av_pairs_max; errc::bad_value if a pair stands twice, or if flags,
///         timestamp or channel bindings have another size than theirs.
[[nodiscard]] RPCH_DECL result<ntlm_av_pairs> decode_ntlm_av_pairs(byte_view in) noexcept;
/// Appends one AV_PAIR. `value` has at most 65535 bytes.
RPCH_DECL void append_ntlm_av_pair(std::vector<std::byte>& out, ntlm_av id, byte_view value);

/// NEGOTIATE_MESSAGE, [MS-NLMP] 2.2.1.1. Domain and workstation are of no use and not kept.
struct ntlm_negotiate {
    std::uint32_t flags = 0;
};
/// CHALLENGE_MESSAGE, [MS-NLMP] 2.2.1.2. Views borrow from the token.
struct ntlm_challenge {
    std::uint32_t flags = 0;
    std::array<std::byte, 8> server_challenge{};
    byte_view target_name{}; ///< UTF-16LE or OEM text, by the flags.
    byte_view target_info{}; ///< AV_PAIRs.
};
/// AUTHENTICATE_MESSAGE, [MS-NLMP] 2.2.1.3. Views borrow from the token.
struct ntlm_authenticate {
    std::uint32_t flags = 0;
    byte_view lm_response{};
    byte_view nt_response{};
    byte_view domain{}; ///< UTF-16LE or OEM text, by the flags; so the two below.
    byte_view user{};
    byte_view workstation{};
    byte_view session_key{}; ///< Encrypted; empty or 16 bytes.
    /// Whether the header has room for a MIC before its payload. Whether the bytes there are one is
    /// for the AV pair `flags` to say.
    bool has_mic = false;
};
/// Where the MIC of an AUTHENTICATE begins; 16 bytes.
inline constexpr std::size_t ntlm_mic_offset = 72;

/// Decodes a message. Peers differ in what stands behind the fields that every version has: the
/// structure may end before Version, fields of length 0 may point anywhere, their order is free.
/// @param in  borrowed.
/// @errors errc::too_large above limits::auth_token_bytes_max; errc::truncated; errc::bad_value if
///         it is another message, a field points outside of it, or a name or key has an impossible
///         size.
[[nodiscard]] RPCH_DECL result<ntlm_negotiate> decode_ntlm_negotiate(byte_view in) noexcept;
[[nodiscard]] RPCH_DECL result<ntlm_challenge> decode_ntlm_challenge(byte_view in) noexcept;
[[nodiscard]] RPCH_DECL result<ntlm_authenticate> decode_ntlm_authenticate(byte_view in) noexcept;

/// Encodes a message. Version is zero unless the flags have `version`.
/// @param version  for the field Version.
/// @errors errc::too_large if a field has more than 65535 bytes or the message more than
///         limits::auth_token_bytes_max.
[[nodiscard]] RPCH_DECL result<std::vector<std::byte>>
encode_ntlm(const ntlm_negotiate& message, const ntlm_version& version = ntlm_our_version);
[[nodiscard]] RPCH_DECL result<std::vector<std::byte>>
encode_ntlm(const ntlm_challenge& message, const ntlm_version& version = ntlm_our_version);
/// With `has_mic` the MIC is 16 zero bytes at ntlm_mic_offset, for the caller to fill.
[[nodiscard]] RPCH_DECL result<std::vector<std::byte>>
encode_ntlm(const ntlm_authenticate& message, const ntlm_version& version = ntlm_our_version);

/// NTLMv2_RESPONSE with its NTLMv2_CLIENT_CHALLENGE, [MS-NLMP] 2.2.2.7 and 2.2.2.8.
struct ntlmv2_response {
    std::span<const std::byte, 16> proof;
    byte_view rest{};       ///< What the proof is made over, behind the server's challenge.
    std::uint64_t time = 0; ///< FILETIME.
    ntlm_av_pairs target_info{};
};
/// @errors errc::not_supported for the 24 bytes of NTLMv1; errc::truncated; errc::bad_version;
///         errors of decode_ntlm_av_pairs().
[[nodiscard]] RPCH_DECL result<ntlmv2_response> decode_ntlmv2_response(byte_view in) noexcept;

} // namespace rpch::inline RPCH_ABI::auth

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/auth/impl/ntlm_messages.ipp>
#endif

#endif
