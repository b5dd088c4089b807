// What a tls_context holds; shared by its own body and the engine's.
#ifndef RPCH_TRANSPORT_DETAIL_TLS_CONTEXT_STATE_HPP
#define RPCH_TRANSPORT_DETAIL_TLS_CONTEXT_STATE_HPP

#include <array>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <rpch/limits.hpp>
#include <rpch/transport/detail/mbedtls_compat.hpp>
#include <rpch/transport/detail/session_store.hpp>

namespace rpch::inline RPCH_ABI::transport {

class trust_store;

namespace detail {

/// Written while it is made, read by many engines afterwards; what changes has a lock. The keys of
/// certificates need none: mbedTLS works on a copy of an EC key and locks an RSA key itself.
struct tls_context_state {
    bool server = false;
    bool verify = true;
    bool resume = true;
    std::string server_name;

    // The configuration points at all of these: it is declared last and freed first.
    std::vector<int> cipher_suites; // ends with 0
    std::array<const char*, 2> protocols{"http/1.1",
                                         nullptr}; // never h2: the channels are HTTP/1.1
    std::shared_ptr<const trust_store> authorities;
    tls::certificate chain;
    tls::private_key key;
    std::mutex ticket_mutex;
    tls::ticket_keys tickets;
    tls::config config;

    std::vector<std::byte> end_point;
    session_store sessions{limits::tls_client_sessions_max};
};

} // namespace detail
} // namespace rpch::inline RPCH_ABI::transport

#endif
