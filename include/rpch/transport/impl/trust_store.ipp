#include <rpch/transport/trust_store.hpp>

#include <filesystem>
#include <utility>

#include <rpch/limits.hpp>
#include <rpch/transport/detail/pem_file.hpp>
#include <rpch/transport/detail/trust_store_state.hpp>

namespace rpch::inline RPCH_ABI::transport {

RPCH_DECL trust_store::trust_store(std::unique_ptr<detail::trust_store_state> s) noexcept
    : state_(std::move(s)) {}
RPCH_DECL trust_store::~trust_store() = default;

RPCH_DECL result<std::shared_ptr<const trust_store>> trust_store::from_pem(std::string_view pem,
                                                                           std::string* why) {
    if (pem.size() > limits::pem_bytes_max)
        return detail::explain(why, errc::too_large, "the list of authorities is too large");
    auto loaded = std::make_unique<detail::trust_store_state>();
    const std::string text(pem); // the parser wants a zero at the end
    const int failed =
        mbedtls_x509_crt_parse(loaded->chain.get(), detail::tls::chars(text), text.size() + 1);
    // A positive number counts certificates it could not read.
    for (const mbedtls_x509_crt* crt = loaded->chain.get(); crt != nullptr; crt = crt->next)
        if (crt->raw.p != nullptr) ++loaded->count;
    if (failed < 0 || loaded->count == 0)
        return detail::explain(why, errc::tls_no_trust_anchors,
                               "no certificate of an authority could be read" +
                                   (failed < 0 ? ": " + detail::tls::error_text(failed) : ""));
    return std::shared_ptr<const trust_store>(new trust_store(std::move(loaded)));
}

RPCH_DECL result<std::shared_ptr<const trust_store>> trust_store::from_file(const std::string& path,
                                                                            std::string* why) {
    const auto text = detail::read_pem_file(path, why);
    if (!text) return fail(text.error());
    auto store = from_pem(*text, why);
    if (!store && why != nullptr) *why = path + ": " + *why;
    return store;
}

RPCH_DECL std::span<const char* const> trust_store::system_places() noexcept {
    static constexpr const char* places[] = {
        "/etc/ssl/certs/ca-certificates.crt",                // Debian, Ubuntu, Arch, Gentoo
        "/etc/pki/tls/certs/ca-bundle.crt",                  // Fedora, RHEL
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // Fedora, RHEL, newer
        "/etc/ssl/ca-bundle.pem",                            // SUSE
        "/etc/ssl/cert.pem",                                 // Alpine, OpenBSD, macOS
        "/usr/local/share/certs/ca-root-nss.crt",            // FreeBSD
    };
    return places;
}

RPCH_DECL result<std::shared_ptr<const trust_store>> trust_store::system(std::string* why) {
    struct once {
        result<std::shared_ptr<const trust_store>> store = fail(errc::tls_no_trust_anchors);
        std::string why = "no list of authorities at any of the usual places; name one by ca_file";
        once() {
            for (const char* place : system_places()) {
                std::error_code missing;
                if (!std::filesystem::exists(place, missing)) continue;
                store = from_file(place, &why);
                return;
            }
        }
    };
    static const once loaded;
    if (!loaded.store && why != nullptr) *why = loaded.why;
    return loaded.store;
}

RPCH_DECL std::size_t trust_store::size() const noexcept { return state_->count; }

} // namespace rpch::inline RPCH_ABI::transport
