// What a trust_store holds; shared by its own body and the TLS context's.
#ifndef RPCH_TRANSPORT_DETAIL_TRUST_STORE_STATE_HPP
#define RPCH_TRANSPORT_DETAIL_TRUST_STORE_STATE_HPP

#include <cstddef>

#include <rpch/transport/detail/mbedtls_compat.hpp>

namespace rpch::inline RPCH_ABI::transport::detail {

struct trust_store_state {
    tls::certificate chain;
    std::size_t count = 0;
};

} // namespace rpch::inline RPCH_ABI::transport::detail

#endif
