// Reading certificates beyond what mbedTLS 2.28 does: IP addresses as names, and texts for people.
#ifndef RPCH_TRANSPORT_DETAIL_CERTIFICATE_HPP
#define RPCH_TRANSPORT_DETAIL_CERTIFICATE_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <rpch/core/bytes.hpp>
#include <rpch/result.hpp>
#include <rpch/transport/detail/mbedtls_compat.hpp>

namespace rpch::inline RPCH_ABI::transport::detail {

/// An IP address as iPAddress entries hold it: 4 or 16 octets in network order, RFC 5280 4.2.1.6.
struct ip_octets {
    std::array<std::byte, 16> octets{};
    std::size_t size = 0;

    [[nodiscard]] byte_view view() const noexcept { return byte_view(octets).first(size); }
};

/// Reads IPv4 or IPv6 text; IPv6 also in brackets and with a zone, which is dropped: no certificate
/// can name one.
/// @return nothing if the text is not an address; it is a DNS name then.
RPCH_DECL std::optional<ip_octets> parse_ip(std::string_view text);

/// The names of a certificate's subjectAltName extension; views into the certificate.
struct alternative_names {
    std::vector<byte_view> dns;
    std::vector<byte_view> ip;
};

/// Finds subjectAltName in the extensions of a certificate, RFC 5280 4.2.1.6.
/// @param extensions  borrowed; the DER of SEQUENCE OF Extension; may be empty.
/// @errors errc::truncated, errc::bad_value if the DER is not what the RFC describes.
RPCH_DECL result<alternative_names> find_alternative_names(byte_view extensions);

/// @return true if the certificate has an iPAddress entry of exactly these octets. The common name
///         does not count, RFC 9525 6.3 and 6.5.
RPCH_DECL bool is_for_ip(const mbedtls_x509_crt& crt, const ip_octets& address);

/// @return DNS names and IP addresses as text, printable ASCII.
RPCH_DECL std::vector<std::string> names_of(const mbedtls_x509_crt& crt);
/// @return the subject, printable ASCII.
RPCH_DECL std::string subject_of(const mbedtls_x509_crt& crt);
/// @return the issuer, printable ASCII.
RPCH_DECL std::string issuer_of(const mbedtls_x509_crt& crt);

/// @return the hash of the whole certificate, RFC 5929 4.1: by the digest of its signature, and by
///         SHA-256 where that is MD5 or SHA-1. Empty if the digest is not built in.
RPCH_DECL std::vector<std::byte> end_point_hash(const mbedtls_x509_crt& crt);

/// @return what the bits MBEDTLS_X509_BADCERT_* and BADCRL_* say, separated by "; ".
RPCH_DECL std::string verify_flags_text(std::uint32_t flags);
/// @return the error for a certificate chain with these flags; the gravest counts: no trust before
///         the wrong name before the wrong time.
RPCH_DECL errc verify_flags_error(std::uint32_t flags) noexcept;
/// @return the name of a TLS alert, RFC 5246 7.2 and later; "alert N" if unknown.
RPCH_DECL std::string alert_text(int alert);

} // namespace rpch::inline RPCH_ABI::transport::detail

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/transport/impl/certificate.ipp>
#endif

#endif
