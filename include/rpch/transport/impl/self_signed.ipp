#include <rpch/transport/self_signed.hpp>

#include <algorithm>
#include <ctime>
#include <string_view>
#include <utility>

#include <rpch/transport/detail/certificate.hpp>
#include <rpch/transport/random.hpp>

namespace rpch::inline RPCH_ABI::transport {

struct test_authority::state {
    std::string name;
    std::string certificate_pem;
    detail::tls::private_key key;
};

namespace detail {

/// Appends one DER element; content up to 65535 bytes.
RPCH_DECL void put_der(std::vector<unsigned char>& out, unsigned char tag, byte_view content) {
    const std::size_t length = content.size();
    out.push_back(tag);
    if (length >= 0x100) {
        out.push_back(0x82);
        out.push_back(static_cast<unsigned char>(length >> 8));
    } else if (length >= 0x80) {
        out.push_back(0x81);
    }
    out.push_back(static_cast<unsigned char>(length & 0xff));
    std::ranges::transform(content, std::back_inserter(out),
                           [](std::byte b) { return std::to_integer<unsigned char>(b); });
}

/// The value of subjectAltName, RFC 5280 4.2.1.6; 2.28 cannot write it.
RPCH_DECL result<std::vector<unsigned char>>
encode_alternative_names(const certificate_request& request) {
    static constexpr std::size_t bytes_max = 0xf000;
    std::vector<unsigned char> names;
    for (const auto& name : request.dns_names) {
        if (name.empty() || name.size() > 253) return fail(errc::bad_setting);
        put_der(names, MBEDTLS_ASN1_CONTEXT_SPECIFIC | 2, core::as_bytes(name));
        if (names.size() > bytes_max) return fail(errc::bad_setting);
    }
    for (const auto& text : request.ip_addresses) {
        const auto address = parse_ip(text);
        if (!address) return fail(errc::bad_setting);
        put_der(names, MBEDTLS_ASN1_CONTEXT_SPECIFIC | 7, address->view());
        if (names.size() > bytes_max) return fail(errc::bad_setting);
    }
    std::vector<unsigned char> out;
    if (!names.empty())
        put_der(out, MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE,
                std::as_bytes(std::span(names)));
    return out;
}

/// @return the time as mbedTLS takes it, YYYYMMDDhhmmss in UTC.
RPCH_DECL std::string validity_text(std::chrono::system_clock::time_point when) {
    const auto day = std::chrono::floor<std::chrono::days>(when);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss time(std::chrono::floor<std::chrono::seconds>(when - day));
    char text[32] = {};
    std::snprintf(text, sizeof text, "%04d%02u%02u%02d%02d%02d", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                  static_cast<int>(time.seconds().count()));
    return text;
}

/// What is written into a certificate beside its names.
struct certificate_parts {
    std::string subject;
    std::string issuer;
    std::string not_before;
    std::string not_after;
    std::vector<unsigned char> alternative_names;
    bool is_authority = false;
    mbedtls_pk_context* subject_key = nullptr;
    mbedtls_pk_context* issuer_key = nullptr;
};

RPCH_DECL result<std::string> write_certificate(const certificate_parts& parts) {
    std::array<unsigned char, 16> serial{};
    if (const auto failed = random_bytes(std::as_writable_bytes(std::span(serial))))
        return fail(failed);
    serial[0] = static_cast<unsigned char>((serial[0] & 0x3f) | 0x40); // positive, no leading zero
    tls::certificate_writer crt;
    mbedtls_x509write_crt_set_version(crt.get(), MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(crt.get(), MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(crt.get(), parts.subject_key);
    mbedtls_x509write_crt_set_issuer_key(crt.get(), parts.issuer_key);
    int failed = tls::set_serial(*crt.get(), serial);
    const auto then = [&failed](auto&& step) {
        if (failed == 0) failed = step();
    };
    then([&] { return mbedtls_x509write_crt_set_subject_name(crt.get(), parts.subject.c_str()); });
    then([&] { return mbedtls_x509write_crt_set_issuer_name(crt.get(), parts.issuer.c_str()); });
    then([&] {
        return mbedtls_x509write_crt_set_validity(crt.get(), parts.not_before.c_str(),
                                                  parts.not_after.c_str());
    });
    then([&] {
        return mbedtls_x509write_crt_set_basic_constraints(crt.get(), parts.is_authority ? 1 : 0,
                                                           -1);
    });
    then([&] {
        return mbedtls_x509write_crt_set_key_usage(
            crt.get(), parts.is_authority ? MBEDTLS_X509_KU_KEY_CERT_SIGN | MBEDTLS_X509_KU_CRL_SIGN
                                          : MBEDTLS_X509_KU_DIGITAL_SIGNATURE);
    });
    then([&] { return mbedtls_x509write_crt_set_subject_key_identifier(crt.get()); });
    then([&] { return mbedtls_x509write_crt_set_authority_key_identifier(crt.get()); });
    if (!parts.alternative_names.empty())
        then([&] {
            return mbedtls_x509write_crt_set_extension(
                crt.get(), MBEDTLS_OID_SUBJECT_ALT_NAME,
                MBEDTLS_OID_SIZE(MBEDTLS_OID_SUBJECT_ALT_NAME), 0, parts.alternative_names.data(),
                parts.alternative_names.size());
        });
    if (failed != 0) return fail(errc::bad_setting);
    // PEM takes 4/3 of the DER; the DER is its names and below 1 KiB of the rest.
    std::string pem(4096 + parts.alternative_names.size() * 2, '\0');
    failed = mbedtls_x509write_crt_pem(crt.get(), reinterpret_cast<unsigned char*>(pem.data()),
                                       pem.size(), mbedtls_random, nullptr);
    if (failed != 0) return fail(errc::bad_setting);
    pem.resize(pem.find('\0'));
    return pem;
}

/// @return the name as mbedTLS reads it; its special characters are refused instead of escaped.
RPCH_DECL result<std::string> common_name_text(std::string_view name) {
    const bool plain = std::ranges::all_of(name, [](char c) {
        return c >= 0x20 && c < 0x7f && c != ',' && c != '=' && c != '\\' && c != '"';
    });
    if (name.empty() || name.size() > 64 || !plain) return fail(errc::bad_setting);
    return "CN=" + std::string(name);
}

} // namespace detail

RPCH_DECL test_authority::test_authority(std::unique_ptr<state> s) noexcept
    : state_(std::move(s)) {}
RPCH_DECL test_authority::test_authority(test_authority&&) noexcept = default;
RPCH_DECL test_authority& test_authority::operator=(test_authority&&) noexcept = default;
RPCH_DECL test_authority::~test_authority() = default;

RPCH_DECL result<test_authority> test_authority::make(const std::string& common_name) {
    auto name = detail::common_name_text(common_name);
    if (!name) return fail(name.error());
    auto s = std::make_unique<state>();
    s->name = std::move(*name);
    if (detail::tls::generate_key(*s->key.get()) != 0) return fail(errc::no_randomness);
    const certificate_request validity;
    auto pem = detail::write_certificate({
        .subject = s->name,
        .issuer = s->name,
        .not_before = detail::validity_text(validity.not_before),
        .not_after = detail::validity_text(validity.not_after),
        .alternative_names = {},
        .is_authority = true,
        .subject_key = s->key.get(),
        .issuer_key = s->key.get(),
    });
    if (!pem) return fail(pem.error());
    s->certificate_pem = std::move(*pem);
    return test_authority(std::move(s));
}

RPCH_DECL result<issued_certificate>
test_authority::issue(const certificate_request& request) const {
    const auto name = detail::common_name_text(request.common_name);
    if (!name) return fail(name.error());
    auto alternative_names = detail::encode_alternative_names(request);
    if (!alternative_names) return fail(alternative_names.error());
    detail::tls::private_key key;
    if (detail::tls::generate_key(*key.get()) != 0) return fail(errc::no_randomness);
    auto pem = detail::write_certificate({
        .subject = *name,
        .issuer = state_->name,
        .not_before = detail::validity_text(request.not_before),
        .not_after = detail::validity_text(request.not_after),
        .alternative_names = std::move(*alternative_names),
        .is_authority = false,
        .subject_key = key.get(),
        .issuer_key = state_->key.get(),
    });
    if (!pem) return fail(pem.error());
    issued_certificate out{std::move(*pem), std::string(1024, '\0')};
    if (mbedtls_pk_write_key_pem(key.get(),
                                 reinterpret_cast<unsigned char*>(out.private_key_pem.data()),
                                 out.private_key_pem.size()) != 0)
        return fail(errc::bad_setting);
    out.private_key_pem.resize(out.private_key_pem.find('\0'));
    return out;
}

RPCH_DECL const std::string& test_authority::certificate_pem() const noexcept {
    return state_->certificate_pem;
}

} // namespace rpch::inline RPCH_ABI::transport
