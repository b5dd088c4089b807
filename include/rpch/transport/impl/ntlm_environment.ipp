#include <rpch/transport/ntlm_environment.hpp>

#include <chrono>
#include <new>
#include <ratio>

#include <rpch/transport/detail/mbedtls_compat.hpp>
#include <rpch/transport/random.hpp>

namespace rpch::inline RPCH_ABI::transport {

namespace detail {

class ntlm_environment final : public auth::ntlm_environment {
  public:
    [[nodiscard]] bool has_md5() const noexcept override {
        return mbedtls_md_info_from_type(MBEDTLS_MD_MD5) != nullptr;
    }
    void md5(std::span<const byte_view> pieces, std::span<std::byte, 16> out) const override {
        tls::hash hash;
        // With a known digest only the allocation can fail, in this function and the next.
        if (mbedtls_md_setup(hash.get(), mbedtls_md_info_from_type(MBEDTLS_MD_MD5), 0) != 0)
            throw std::bad_alloc();
        mbedtls_md_starts(hash.get());
        for (const byte_view piece : pieces)
            mbedtls_md_update(hash.get(), tls::chars(piece.data()), piece.size());
        mbedtls_md_finish(hash.get(), tls::chars(out.data()));
    }
    void hmac_md5(byte_view key, std::span<const byte_view> pieces,
                  std::span<std::byte, 16> out) const override {
        tls::hash hash;
        if (mbedtls_md_setup(hash.get(), mbedtls_md_info_from_type(MBEDTLS_MD_MD5), 1) != 0)
            throw std::bad_alloc();
        mbedtls_md_hmac_starts(hash.get(), tls::chars(key.data()), key.size());
        for (const byte_view piece : pieces)
            mbedtls_md_hmac_update(hash.get(), tls::chars(piece.data()), piece.size());
        mbedtls_md_hmac_finish(hash.get(), tls::chars(out.data()));
    }
    [[nodiscard]] std::error_code fill_random(byte_span out) const override {
        return random_bytes(out);
    }
    [[nodiscard]] std::uint64_t filetime_now() const override {
        using units = std::chrono::duration<std::int64_t, std::ratio<1, 10'000'000>>;
        constexpr std::uint64_t from_1601_to_1970 = 116'444'736'000'000'000;
        const auto since = std::chrono::system_clock::now().time_since_epoch();
        return from_1601_to_1970 +
               static_cast<std::uint64_t>(std::chrono::duration_cast<units>(since).count());
    }
};

} // namespace detail

RPCH_DECL const auth::ntlm_environment& system_ntlm_environment() noexcept {
    static const detail::ntlm_environment environment;
    return environment;
}

} // namespace rpch::inline RPCH_ABI::transport
