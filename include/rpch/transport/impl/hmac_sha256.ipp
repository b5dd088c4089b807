#include <rpch/transport/detail/hmac_sha256.hpp>

#include <algorithm>

#include <rpch/core/secret.hpp>

namespace rpch::inline RPCH_ABI::transport::detail {

RPCH_DECL hmac_sha256::hmac_sha256(byte_view key) {
    static constexpr std::size_t block_bytes = 64;
    const auto* sha256 = mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
    for (tls::hash* context : {&inner_start_, &outer_start_, &running_})
        if (mbedtls_md_setup(context->get(), sha256, 0) != 0) throw std::bad_alloc();
    std::array<std::byte, block_bytes> padded{};
    if (key.size() > block_bytes)
        mbedtls_md(sha256, tls::chars(key.data()), key.size(), tls::chars(padded.data()));
    else
        std::ranges::copy(key, padded.begin());
    for (std::byte& b : padded) b ^= std::byte{0x36};
    mbedtls_md_starts(inner_start_.get());
    mbedtls_md_update(inner_start_.get(), tls::chars(padded.data()), padded.size());
    for (std::byte& b : padded) b ^= std::byte{0x36} ^ std::byte{0x5c};
    mbedtls_md_starts(outer_start_.get());
    mbedtls_md_update(outer_start_.get(), tls::chars(padded.data()), padded.size());
    core::wipe(padded);
}

RPCH_DECL hmac_sha256& hmac_sha256::start() noexcept {
    mbedtls_md_clone(running_.get(), inner_start_.get());
    return *this;
}
RPCH_DECL hmac_sha256& hmac_sha256::update(byte_view part) noexcept {
    mbedtls_md_update(running_.get(), tls::chars(part.data()), part.size());
    return *this;
}
RPCH_DECL void hmac_sha256::finish(std::span<std::byte, 32> out) noexcept {
    mbedtls_md_finish(running_.get(), tls::chars(out.data()));
    mbedtls_md_clone(running_.get(), outer_start_.get());
    mbedtls_md_update(running_.get(), tls::chars(out.data()), out.size());
    mbedtls_md_finish(running_.get(), tls::chars(out.data()));
}

RPCH_DECL sha256_digest pbkdf2_sha256(byte_view password, byte_view salt,
                                      std::uint32_t iterations) {
    static constexpr std::array<std::byte, 4> first_block{std::byte{0}, std::byte{0}, std::byte{0},
                                                          std::byte{1}};
    hmac_sha256 prf(password);
    sha256_digest u{};
    prf.start().update(salt).update(first_block).finish(u);
    sha256_digest out = u;
    for (std::uint32_t i = 1; i < iterations; ++i) {
        prf.start().update(u).finish(u);
        for (std::size_t k = 0; k < out.size(); ++k) out[k] ^= u[k];
    }
    core::wipe(u);
    return out;
}

} // namespace rpch::inline RPCH_ABI::transport::detail
