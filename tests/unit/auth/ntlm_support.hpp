// An environment of NTLM for tests: real MD5, fixed randomness and time.
#ifndef RPCH_TESTS_UNIT_AUTH_NTLM_SUPPORT_HPP
#define RPCH_TESTS_UNIT_AUTH_NTLM_SUPPORT_HPP

#include <algorithm>
#include <cstdint>
#include <span>

#include <rpch/error.hpp>
#include <rpch/transport/ntlm_environment.hpp>

namespace test {

/// Randomness is a byte repeated: 0xAA for the nonces of 8 bytes and 0x55 for keys, as in
/// [MS-NLMP] 4.2.1.
class ntlm_example_environment : public rpch::auth::ntlm_environment {
  public:
    std::uint64_t time = 0;
    bool md5_is_there = true;
    bool random_is_there = true;

    [[nodiscard]] bool has_md5() const noexcept override { return md5_is_there; }
    void md5(std::span<const rpch::byte_view> pieces, std::span<std::byte, 16> out) const override {
        rpch::transport::system_ntlm_environment().md5(pieces, out);
    }
    void hmac_md5(rpch::byte_view key, std::span<const rpch::byte_view> pieces,
                  std::span<std::byte, 16> out) const override {
        rpch::transport::system_ntlm_environment().hmac_md5(key, pieces, out);
    }
    [[nodiscard]] std::error_code fill_random(rpch::byte_span out) const override {
        std::ranges::fill(out, out.size() == 8 ? std::byte{0xAA} : std::byte{0x55});
        if (random_is_there) return {};
        return rpch::errc::no_randomness;
    }
    [[nodiscard]] std::uint64_t filetime_now() const override { return time; }
};

} // namespace test

#endif
