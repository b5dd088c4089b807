// Authorities and certificates for tests, made once per program.
#ifndef RPCH_TESTS_SUPPORT_CERTIFICATES_HPP
#define RPCH_TESTS_SUPPORT_CERTIFICATES_HPP

#include <chrono>
#include <memory>
#include <string>

#include <rpch/transport/self_signed.hpp>
#include <rpch/transport/tls_context.hpp>

namespace test {

/// The authority that the clients of the tests trust.
inline const rpch::transport::test_authority& authority() {
    static const auto instance = rpch::transport::test_authority::make("test authority").value();
    return instance;
}
/// An authority nobody trusts.
inline const rpch::transport::test_authority& other_authority() {
    static const auto instance = rpch::transport::test_authority::make("other authority").value();
    return instance;
}

/// For localhost, *.example.com, 127.0.0.1 and ::1.
inline const rpch::transport::issued_certificate& server_certificate() {
    static const auto instance = authority()
                                     .issue({.common_name = "test server",
                                             .dns_names = {"localhost", "*.example.com"},
                                             .ip_addresses = {"127.0.0.1", "::1"}})
                                     .value();
    return instance;
}
/// Like `server_certificate`, and over since an hour ago.
inline const rpch::transport::issued_certificate& expired_certificate() {
    static const auto now = std::chrono::system_clock::now();
    static const auto instance = authority()
                                     .issue({.common_name = "expired server",
                                             .dns_names = {"localhost"},
                                             .ip_addresses = {"127.0.0.1"},
                                             .not_before = now - std::chrono::hours{48},
                                             .not_after = now - std::chrono::hours{1}})
                                     .value();
    return instance;
}

/// A server that shows `certificate`.
inline std::shared_ptr<rpch::transport::tls_context>
tls_server(const rpch::transport::issued_certificate& certificate = server_certificate()) {
    rpch::transport::tls_server_options options;
    options.certificate_chain_pem = certificate.certificate_pem;
    options.private_key_pem = certificate.private_key_pem;
    return rpch::transport::tls_context::make_server(options).value();
}
/// A client that trusts `authority()`.
inline std::shared_ptr<rpch::transport::tls_context> tls_client() {
    rpch::transport::tls_client_options options;
    options.ca_pem = authority().certificate_pem();
    return rpch::transport::tls_context::make_client(options).value();
}

} // namespace test

#endif
