// The process's one source of random bytes: cookies, salts, TLS.
#ifndef RPCH_TRANSPORT_RANDOM_HPP
#define RPCH_TRANSPORT_RANDOM_HPP

#include <system_error>

#include <rpch/core/bytes.hpp>
#include <rpch/core/uuid.hpp>
#include <rpch/error.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::transport {

/// Fills `out` from one CTR_DRBG per process, seeded by the operating system. Thread-safe. What two
/// processes draw after a fork is the same until the next reseeding: fork before the first use.
/// @param out  any length; zeros if the call fails.
/// @errors errc::no_randomness if the operating system gives no entropy; nothing secret may be made
///         then.
[[nodiscard]] RPCH_DECL std::error_code random_bytes(byte_span out) noexcept;

/// @return a version 4 UUID from `random_bytes`; the form of cookies and association group ids.
/// @errors errc::no_randomness.
[[nodiscard]] RPCH_DECL result<uuid> random_uuid() noexcept;

} // namespace rpch::inline RPCH_ABI::transport

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/transport/impl/random.ipp>
#endif

#endif
