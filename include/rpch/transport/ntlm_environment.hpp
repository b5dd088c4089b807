// The real environment of NTLM: mbedTLS, the process's random source, the system's clock.
#ifndef RPCH_TRANSPORT_NTLM_ENVIRONMENT_HPP
#define RPCH_TRANSPORT_NTLM_ENVIRONMENT_HPP

#include <rpch/auth/ntlm_environment.hpp>

namespace rpch::inline RPCH_ABI::transport {

/// @return the environment of this process; lives as long as the process.
[[nodiscard]] RPCH_DECL const auth::ntlm_environment& system_ntlm_environment() noexcept;

} // namespace rpch::inline RPCH_ABI::transport

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/transport/impl/ntlm_environment.ipp>
#endif

#endif
