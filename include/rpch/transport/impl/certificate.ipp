#include <rpch/transport/detail/certificate.hpp>

#include <algorithm>

#include <asio/ip/address.hpp>

namespace rpch::inline RPCH_ABI::transport::detail {

/// Steps through DER elements, each checked against the end of what encloses it.
class der_reader {
  public:
    explicit der_reader(byte_view bytes) noexcept
        : at_(const_cast<unsigned char*>(tls::chars(bytes.data()))), end_(at_ + bytes.size()) {}

    [[nodiscard]] bool is_empty() const noexcept { return at_ == end_; }
    [[nodiscard]] int next_tag() const noexcept { return is_empty() ? -1 : *at_; }
    /// Takes one element if it has this tag. @return its content, or nothing.
    std::optional<byte_view> take(int tag) noexcept {
        std::size_t length = 0;
        if (mbedtls_asn1_get_tag(&at_, end_, &length, tag) != 0) return std::nullopt;
        const auto content = std::as_bytes(std::span<const unsigned char>(at_, length));
        at_ += length;
        return content;
    }

  private:
    unsigned char* at_; // mbedTLS reads through a pointer to non-const
    unsigned char* end_;
};

inline constexpr int der_sequence = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE;

RPCH_DECL std::optional<ip_octets> parse_ip(std::string_view text) {
    if (text.size() > 2 && text.front() == '[' && text.back() == ']')
        text = text.substr(1, text.size() - 2);
    if (text.find(':') != text.npos) text = text.substr(0, text.find('%'));
    asio::error_code bad;
    const auto address = asio::ip::make_address(std::string(text), bad);
    if (bad) return std::nullopt;
    ip_octets out;
    const auto put = [&out](const auto& octets) {
        out.size = octets.size();
        std::ranges::transform(octets, out.octets.begin(),
                               [](unsigned char c) { return static_cast<std::byte>(c); });
    };
    if (address.is_v4())
        put(address.to_v4().to_bytes());
    else
        put(address.to_v6().to_bytes());
    return out;
}

RPCH_DECL std::string ip_text(byte_view octets) {
    if (octets.size() == 4) {
        asio::ip::address_v4::bytes_type v4{};
        std::ranges::transform(octets, v4.begin(),
                               [](std::byte b) { return std::to_integer<unsigned char>(b); });
        return asio::ip::address_v4(v4).to_string();
    }
    if (octets.size() == 16) {
        asio::ip::address_v6::bytes_type v6{};
        std::ranges::transform(octets, v6.begin(),
                               [](std::byte b) { return std::to_integer<unsigned char>(b); });
        return asio::ip::address_v6(v6).to_string();
    }
    return "malformed address";
}

/// Reads GeneralNames; kinds other than dNSName [2] and iPAddress [7] are passed over.
RPCH_DECL result<alternative_names> read_general_names(byte_view value) {
    static constexpr int dns_name = MBEDTLS_ASN1_CONTEXT_SPECIFIC | 2;
    static constexpr int ip_address = MBEDTLS_ASN1_CONTEXT_SPECIFIC | 7;
    der_reader outer(value);
    const auto list = outer.take(der_sequence);
    if (!list || !outer.is_empty()) return fail(errc::bad_value);
    alternative_names out;
    for (der_reader names(*list); !names.is_empty();) {
        const int tag = names.next_tag();
        const auto name = names.take(tag);
        if (!name) return fail(errc::truncated);
        if (tag == dns_name) out.dns.push_back(*name);
        if (tag == ip_address) out.ip.push_back(*name);
    }
    return out;
}

RPCH_DECL result<alternative_names> find_alternative_names(byte_view extensions) {
    if (extensions.empty()) return alternative_names{};
    der_reader outer(extensions);
    const auto list = outer.take(der_sequence);
    if (!list) return fail(errc::truncated);
    for (der_reader items(*list); !items.is_empty();) {
        const auto item = items.take(der_sequence);
        if (!item) return fail(errc::truncated);
        der_reader fields(*item);
        const auto id = fields.take(MBEDTLS_ASN1_OID);
        if (!id) return fail(errc::bad_value);
        if (fields.next_tag() == MBEDTLS_ASN1_BOOLEAN) (void)fields.take(MBEDTLS_ASN1_BOOLEAN);
        const auto value = fields.take(MBEDTLS_ASN1_OCTET_STRING);
        if (!value) return fail(errc::bad_value);
        if (core::as_text(*id) == MBEDTLS_OID_SUBJECT_ALT_NAME) return read_general_names(*value);
    }
    return alternative_names{};
}

RPCH_DECL bool is_for_ip(const mbedtls_x509_crt& crt, const ip_octets& address) {
    const auto names = find_alternative_names(tls::extensions_of(crt));
    return names && std::ranges::any_of(names->ip, [&](byte_view entry) {
               return std::ranges::equal(entry, address.view());
           });
}

/// @return `text` with everything but printable ASCII replaced: it came from a peer and goes to
/// logs.
RPCH_DECL std::string printable(std::string_view text) {
    std::string out(text);
    std::ranges::replace_if(
        out, [](char c) { return c < 0x20 || c > 0x7e; }, '?');
    return out;
}

RPCH_DECL std::vector<std::string> names_of(const mbedtls_x509_crt& crt) {
    std::vector<std::string> out;
    const auto names = find_alternative_names(tls::extensions_of(crt));
    if (!names) return out;
    for (const byte_view name : names->dns) out.push_back(printable(core::as_text(name)));
    for (const byte_view address : names->ip) out.push_back(ip_text(address));
    return out;
}

RPCH_DECL std::string distinguished_name_text(const mbedtls_x509_name& name) {
    char text[512] = {};
    const int length = mbedtls_x509_dn_gets(text, sizeof text, &name);
    return length < 0 ? std::string("a name too long to show") : printable(text);
}
RPCH_DECL std::string subject_of(const mbedtls_x509_crt& crt) {
    return distinguished_name_text(crt.subject);
}
RPCH_DECL std::string issuer_of(const mbedtls_x509_crt& crt) {
    return distinguished_name_text(crt.issuer);
}

RPCH_DECL std::vector<std::byte> end_point_hash(const mbedtls_x509_crt& crt) {
    auto type = tls::signature_digest(crt);
    if (type == MBEDTLS_MD_MD5 || type == MBEDTLS_MD_SHA1) type = MBEDTLS_MD_SHA256;
    const auto* digest = mbedtls_md_info_from_type(type);
    if (digest == nullptr) return {};
    std::vector<std::byte> out(mbedtls_md_get_size(digest));
    if (mbedtls_md(digest, crt.raw.p, crt.raw.len, tls::chars(out.data())) != 0) return {};
    return out;
}

RPCH_DECL std::string verify_flags_text(std::uint32_t flags) {
    struct line {
        std::uint32_t flag;
        const char* text;
    };
    static constexpr line lines[] = {
        {MBEDTLS_X509_BADCERT_NOT_TRUSTED, "not signed by a trusted authority"},
        {MBEDTLS_X509_BADCERT_CN_MISMATCH, "issued for another name"},
        {MBEDTLS_X509_BADCERT_EXPIRED, "expired"},
        {MBEDTLS_X509_BADCERT_FUTURE, "not valid yet"},
        {MBEDTLS_X509_BADCERT_REVOKED, "revoked"},
        {MBEDTLS_X509_BADCERT_MISSING, "missing"},
        {MBEDTLS_X509_BADCERT_KEY_USAGE, "its key usage forbids this"},
        {MBEDTLS_X509_BADCERT_EXT_KEY_USAGE, "its extended key usage forbids this"},
        {MBEDTLS_X509_BADCERT_NS_CERT_TYPE, "its certificate type forbids this"},
        {MBEDTLS_X509_BADCERT_BAD_MD, "signed with a digest that is too weak"},
        {MBEDTLS_X509_BADCERT_BAD_PK, "signed with a key algorithm that is not accepted"},
        {MBEDTLS_X509_BADCERT_BAD_KEY, "its key is too short or on a curve that is not accepted"},
        {MBEDTLS_X509_BADCERT_OTHER, "refused"},
    };
    std::string out;
    for (const auto& [flag, text] : lines) {
        if ((flags & flag) == 0) continue;
        if (!out.empty()) out += "; ";
        out += text;
        flags &= ~flag;
    }
    if (flags != 0) out += (out.empty() ? "" : "; ") + std::string("another check failed");
    return out;
}

RPCH_DECL errc verify_flags_error(std::uint32_t flags) noexcept {
    static constexpr std::uint32_t time =
        MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE;
    static constexpr std::uint32_t name = MBEDTLS_X509_BADCERT_CN_MISMATCH;
    if ((flags & ~(time | name)) != 0) return errc::tls_untrusted;
    if ((flags & name) != 0) return errc::tls_name_mismatch;
    return errc::tls_expired;
}

RPCH_DECL std::string alert_text(int alert) {
    // clang-format off
    switch (alert) {
    case 0: return "close_notify";
    case 10: return "unexpected_message";
    case 20: return "bad_record_mac";
    case 22: return "record_overflow";
    case 40: return "handshake_failure";
    case 42: return "bad_certificate";
    case 43: return "unsupported_certificate";
    case 44: return "certificate_revoked";
    case 45: return "certificate_expired";
    case 46: return "certificate_unknown";
    case 47: return "illegal_parameter";
    case 48: return "unknown_ca";
    case 49: return "access_denied";
    case 50: return "decode_error";
    case 51: return "decrypt_error";
    case 70: return "protocol_version";
    case 71: return "insufficient_security";
    case 80: return "internal_error";
    case 86: return "inappropriate_fallback";
    case 90: return "user_canceled";
    case 100: return "no_renegotiation";
    case 110: return "unsupported_extension";
    case 112: return "unrecognized_name";
    case 116: return "certificate_required";
    case 120: return "no_application_protocol";
    default: return "alert " + std::to_string(alert);
    }
    // clang-format on
}

} // namespace rpch::inline RPCH_ABI::transport::detail
