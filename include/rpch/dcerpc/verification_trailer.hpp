// The verification trailer behind the stub data of a request: what of the bind and of the header
// the client meant, under the signature of the stub data. [MS-RPCE] 2.2.2.13.
#ifndef RPCH_DCERPC_VERIFICATION_TRAILER_HPP
#define RPCH_DCERPC_VERIFICATION_TRAILER_HPP

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <rpch/core/bytes.hpp>
#include <rpch/core/uuid.hpp>
#include <rpch/dcerpc/common_header.hpp>

namespace rpch::inline RPCH_ABI::dcerpc {

/// What a trailer says. Commands that are absent say nothing.
struct verification_trailer {
    /// rpc_sec_vt_bitmask, [MS-RPCE] 2.2.2.13.2: the client supports header signing.
    std::optional<bool> supports_header_signing{};
    /// rpc_sec_vt_pcontext, [MS-RPCE] 2.2.2.13.4: what the request's context stands for.
    struct pcontext {
        interface_id interface {};
        interface_id transfer_syntax{};
        bool operator==(const pcontext&) const = default;
    };
    std::optional<pcontext> context{};
    /// rpc_sec_vt_header2, [MS-RPCE] 2.2.2.13.3: the header, which nothing else protects.
    struct header2 {
        core::byte_order order = core::byte_order::little;
        std::uint32_t call_id = 0;
        std::uint16_t context_id = 0;
        std::uint16_t opnum = 0;
        bool operator==(const header2&) const = default;
    };
    std::optional<header2> header{};
    /// A command that must be processed and is not known here.
    bool must_process_unknown = false;
};

/// Appends a trailer to stub data, behind up to 3 zeros.
RPCH_DECL void append(std::vector<std::byte>& stub, const verification_trailer& what);

/// A trailer, and the stub data in front of it.
struct found_trailer {
    std::size_t stub_bytes = 0; ///< Up to 3 zeros of alignment included.
    verification_trailer content{};
};
/// Looks for a trailer at the end of the stub data of a whole request. Application data that only
/// look like the beginning of one are told from it by their end: a trailer ends the stub data.
/// @return nothing if there is none.
[[nodiscard]] RPCH_DECL std::optional<found_trailer>
find_verification_trailer(byte_view stub) noexcept;
/// @return whether the signature of a trailer stands near the end, whatever follows it.
[[nodiscard]] RPCH_DECL bool has_trailer_signature(byte_view stub) noexcept;

} // namespace rpch::inline RPCH_ABI::dcerpc

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/dcerpc/impl/verification_trailer.ipp>
#endif

#endif
