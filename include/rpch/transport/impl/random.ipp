#include <rpch/transport/random.hpp>

#include <algorithm>
#include <mutex>

#include <rpch/transport/detail/mbedtls_compat.hpp>

namespace rpch::inline RPCH_ABI::transport {

namespace detail {

/// Our own lock, since mbedTLS has one only where it was built with threads.
class random_source {
  public:
    random_source() noexcept {
        static constexpr unsigned char purpose[] = "rpch";
        ready_ = mbedtls_ctr_drbg_seed(drbg_.get(), mbedtls_entropy_func, entropy_.get(), purpose,
                                       sizeof purpose) == 0;
    }
    bool fill(byte_span out) noexcept {
        const std::scoped_lock lock(mutex_);
        while (ready_ && !out.empty()) {
            const auto part =
                out.first(std::min<std::size_t>(out.size(), MBEDTLS_CTR_DRBG_MAX_REQUEST));
            if (mbedtls_ctr_drbg_random(drbg_.get(), tls::chars(part.data()), part.size()) != 0)
                return false;
            out = out.subspan(part.size());
        }
        return ready_;
    }
    static random_source& instance() noexcept {
        static random_source source;
        return source;
    }

  private:
    std::mutex mutex_;
    tls::owned<mbedtls_entropy_context, mbedtls_entropy_init, mbedtls_entropy_free> entropy_;
    tls::owned<mbedtls_ctr_drbg_context, mbedtls_ctr_drbg_init, mbedtls_ctr_drbg_free> drbg_;
    bool ready_ = false;
};

RPCH_DECL int mbedtls_random(void*, unsigned char* out, std::size_t length) noexcept {
    const auto bytes = std::as_writable_bytes(std::span(out, length));
    return random_source::instance().fill(bytes) ? 0 : MBEDTLS_ERR_CTR_DRBG_ENTROPY_SOURCE_FAILED;
}

} // namespace detail

RPCH_DECL std::error_code random_bytes(byte_span out) noexcept {
    if (detail::random_source::instance().fill(out)) return {};
    std::ranges::fill(out, std::byte{0});
    return errc::no_randomness;
}

RPCH_DECL result<uuid> random_uuid() noexcept {
    std::array<std::byte, 16> octets{};
    if (const auto failed = random_bytes(octets)) return fail(failed);
    // RFC 9562 5.4: version and variant; the rest is random.
    octets[6] = (octets[6] & std::byte{0x0f}) | std::byte{0x40};
    octets[8] = (octets[8] & std::byte{0x3f}) | std::byte{0x80};
    return uuid::decode(octets, core::byte_order::big);
}

} // namespace rpch::inline RPCH_ABI::transport
