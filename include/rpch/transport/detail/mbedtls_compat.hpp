// All that differs between mbedTLS 2.28 and 3.x. No other file touches a member of its structures.
#ifndef RPCH_TRANSPORT_DETAIL_MBEDTLS_COMPAT_HPP
#define RPCH_TRANSPORT_DETAIL_MBEDTLS_COMPAT_HPP

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <rpch/core/bytes.hpp>

#include <mbedtls/asn1.h>
#include <mbedtls/asn1write.h>
#include <mbedtls/bignum.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/ecp.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/md.h>
#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ciphersuites.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>

#if MBEDTLS_VERSION_NUMBER >= 0x04000000
    #error "mbedTLS 4 is not supported: it has no place for our random source"
#elif MBEDTLS_VERSION_NUMBER >= 0x03000000
    #define RPCH_MBEDTLS_MEMBER(name) MBEDTLS_PRIVATE(name)
#else
    #define RPCH_MBEDTLS_MEMBER(name) name
#endif

namespace rpch::inline RPCH_ABI::transport::detail {
/// `random_bytes` in the shape mbedTLS asks for. @return 0, or an mbedTLS error number.
RPCH_DECL int mbedtls_random(void* unused, unsigned char* out, std::size_t length) noexcept;
} // namespace rpch::inline RPCH_ABI::transport::detail

namespace rpch::inline RPCH_ABI::transport::detail::tls {

inline unsigned char* chars(std::byte* p) noexcept { return reinterpret_cast<unsigned char*>(p); }
inline const unsigned char* chars(const std::byte* p) noexcept {
    return reinterpret_cast<const unsigned char*>(p);
}
inline const unsigned char* chars(const std::string& text) noexcept {
    return reinterpret_cast<const unsigned char*>(text.data());
}

/// Owns an mbedTLS structure between its init and free functions; stays where it is.
template <class T, void (*Init)(T*), void (*Free)(T*)>
class owned {
  public:
    owned() noexcept { Init(&value_); }
    ~owned() { Free(&value_); }
    owned(const owned&) = delete;
    owned& operator=(const owned&) = delete;

    T* get() noexcept { return &value_; }
    const T* get() const noexcept { return &value_; }
    T* operator->() noexcept { return &value_; }
    const T* operator->() const noexcept { return &value_; }

  private:
    T value_;
};

using certificate = owned<mbedtls_x509_crt, mbedtls_x509_crt_init, mbedtls_x509_crt_free>;
using private_key = owned<mbedtls_pk_context, mbedtls_pk_init, mbedtls_pk_free>;
using config = owned<mbedtls_ssl_config, mbedtls_ssl_config_init, mbedtls_ssl_config_free>;
using connection = owned<mbedtls_ssl_context, mbedtls_ssl_init, mbedtls_ssl_free>;
using session = owned<mbedtls_ssl_session, mbedtls_ssl_session_init, mbedtls_ssl_session_free>;
using ticket_keys =
    owned<mbedtls_ssl_ticket_context, mbedtls_ssl_ticket_init, mbedtls_ssl_ticket_free>;
using certificate_writer =
    owned<mbedtls_x509write_cert, mbedtls_x509write_crt_init, mbedtls_x509write_crt_free>;
using hash = owned<mbedtls_md_context_t, mbedtls_md_init, mbedtls_md_free>;

/// TLS 1.2 as minimum and maximum: 2.28 begins at TLS 1.0 and has no 1.3; with 3.x the session and
/// ticket logic of this room is that of 1.2.
inline void set_tls12_only(mbedtls_ssl_config& conf) noexcept {
#if MBEDTLS_VERSION_NUMBER >= 0x03020000
    mbedtls_ssl_conf_min_tls_version(&conf, MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_max_tls_version(&conf, MBEDTLS_SSL_VERSION_TLS1_2);
#else
    mbedtls_ssl_conf_min_version(&conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_max_version(&conf, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
#endif
}

/// x25519 and P-256 first: the curves of the default order cost twice the time. The larger ones
/// stay allowed because the list also judges the keys in certificates.
inline void set_curves(mbedtls_ssl_config& conf) noexcept {
#if MBEDTLS_VERSION_NUMBER >= 0x03010000
    static constexpr std::uint16_t groups[] = {
        MBEDTLS_SSL_IANA_TLS_GROUP_X25519, MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
        MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, MBEDTLS_SSL_IANA_TLS_GROUP_SECP521R1,
        MBEDTLS_SSL_IANA_TLS_GROUP_NONE};
    mbedtls_ssl_conf_groups(&conf, groups);
#else
    static constexpr mbedtls_ecp_group_id curves[] = {
        MBEDTLS_ECP_DP_CURVE25519, MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_SECP384R1,
        MBEDTLS_ECP_DP_SECP521R1, MBEDTLS_ECP_DP_NONE};
    mbedtls_ssl_conf_curves(&conf, curves);
#endif
}

/// Nothing weaker than SHA-256 signs a key exchange. 3.x has no weaker one in its default.
inline void set_signature_hashes([[maybe_unused]] mbedtls_ssl_config& conf) noexcept {
#if MBEDTLS_VERSION_NUMBER < 0x03000000
    static constexpr int hashes[] = {MBEDTLS_MD_SHA256, MBEDTLS_MD_SHA384, MBEDTLS_MD_SHA512,
                                     MBEDTLS_MD_NONE};
    mbedtls_ssl_conf_sig_hashes(&conf, hashes);
#endif
}

/// Refuses renegotiation: the peer gets the warning no_renegotiation and the connection goes on.
inline void disable_renegotiation([[maybe_unused]] mbedtls_ssl_config& conf) noexcept {
#if defined(MBEDTLS_SSL_RENEGOTIATION)
    mbedtls_ssl_conf_renegotiation(&conf, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
#endif
}

/// Trusts these authorities. mbedTLS takes a pointer to non-const and only reads.
inline void set_authorities(mbedtls_ssl_config& conf, const mbedtls_x509_crt& chain) noexcept {
    mbedtls_ssl_conf_ca_chain(&conf, const_cast<mbedtls_x509_crt*>(&chain), nullptr);
}

/// The state of a handshake, one of mbedtls_ssl_states.
inline int handshake_state(const mbedtls_ssl_context& ssl) noexcept {
    return ssl.RPCH_MBEDTLS_MEMBER(state);
}
inline bool is_handshake_over(const mbedtls_ssl_context& ssl) noexcept {
    return handshake_state(ssl) == MBEDTLS_SSL_HANDSHAKE_OVER;
}
/// The description byte of the alert that was just received; meaningful after
/// MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE.
inline int received_alert(const mbedtls_ssl_context& ssl) noexcept {
    const unsigned char* message = ssl.RPCH_MBEDTLS_MEMBER(in_msg);
    return message == nullptr ? -1 : message[1];
}

/// The raw extensions of a certificate: the DER of their SEQUENCE. Both versions leave it public.
inline byte_view extensions_of(const mbedtls_x509_crt& crt) noexcept {
    return std::as_bytes(std::span(crt.v3_ext.p, crt.v3_ext.p == nullptr ? 0 : crt.v3_ext.len));
}
/// The moment at which a certificate is over. Both versions leave it public.
inline std::chrono::sys_seconds end_of_validity(const mbedtls_x509_crt& crt) noexcept {
    const mbedtls_x509_time& end = crt.valid_to;
    const std::chrono::year_month_day day{std::chrono::year{end.year},
                                          std::chrono::month{static_cast<unsigned>(end.mon)},
                                          std::chrono::day{static_cast<unsigned>(end.day)}};
    return std::chrono::sys_days{day} + std::chrono::hours{end.hour} +
           std::chrono::minutes{end.min} + std::chrono::seconds{end.sec};
}
/// The digest of a certificate's signature.
inline mbedtls_md_type_t signature_digest(const mbedtls_x509_crt& crt) noexcept {
    return crt.RPCH_MBEDTLS_MEMBER(sig_md);
}

inline int parse_key(mbedtls_pk_context& key, const std::string& pem) noexcept {
    // A PEM text is given with the zero that ends it.
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return mbedtls_pk_parse_key(&key, chars(pem), pem.size() + 1, nullptr, 0, mbedtls_random,
                                nullptr);
#else
    return mbedtls_pk_parse_key(&key, chars(pem), pem.size() + 1, nullptr, 0);
#endif
}
/// @return true if the private key belongs to the certificate.
inline bool is_pair(const mbedtls_x509_crt& crt, const mbedtls_pk_context& key) noexcept {
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    return mbedtls_pk_check_pair(&crt.pk, &key, mbedtls_random, nullptr) == 0;
#else
    return mbedtls_pk_check_pair(&crt.pk, &key) == 0;
#endif
}

/// Makes a P-256 key.
inline int generate_key(mbedtls_pk_context& key) noexcept {
    const int failed = mbedtls_pk_setup(&key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    if (failed != 0) return failed;
    return mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(key), mbedtls_random,
                               nullptr);
}

/// Sets the serial number of a certificate to write; big-endian, first bit clear.
inline int set_serial(mbedtls_x509write_cert& crt, std::array<unsigned char, 16> serial) noexcept {
#if MBEDTLS_VERSION_NUMBER >= 0x03040000
    return mbedtls_x509write_crt_set_serial_raw(&crt, serial.data(), serial.size());
#else
    owned<mbedtls_mpi, mbedtls_mpi_init, mbedtls_mpi_free> number;
    const int failed = mbedtls_mpi_read_binary(number.get(), serial.data(), serial.size());
    return failed != 0 ? failed : mbedtls_x509write_crt_set_serial(&crt, number.get());
#endif
}

/// @return the text mbedTLS has for an error number, with the number.
inline std::string error_text(int error) {
    char text[128] = {};
    mbedtls_strerror(error, text, sizeof text);
    char number[16] = {};
    std::snprintf(number, sizeof number, " (-0x%04x)", static_cast<unsigned>(-error));
    return std::string(text) + number;
}

} // namespace rpch::inline RPCH_ABI::transport::detail::tls

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/transport/random.hpp> // brings the body of mbedtls_random
#endif

#endif
