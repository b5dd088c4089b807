// An environment of NTLM for tests: real MD5, fixed randomness and time.
#ifndef RPCH_TESTS_UNIT_AUTH_NTLM_SUPPORT_HPP
#define RPCH_TESTS_UNIT_AUTH_NTLM_SUPPORT_HPP

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>

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

// The AUTHENTICATE messages of [MS-NLMP], all of the same user, password and challenge.
inline constexpr std::string_view authenticate_4_2_2_3 =
    "4e544c4d5353500003000000180018006c00000018001800840000000c000c004800000008000800"
    "54000000100010005c000000100010009c000000358280e20501280a0000000f44006f006d006100"
    "69006e00550073006500720043004f004d0050005500540045005200"
    "98def7b87f88aa5dafe2df779688a172def11c7d5ccdef13"
    "67c43011f30298a2ad35ece64f16331c44bdbed927841f94"
    "518822b1b3f350c8958682ecbb3e3cb7";
inline constexpr std::string_view authenticate_4_2_3_3 =
    "4e544c4d5353500003000000180018006c00000018001800840000000c000c004800000008000800"
    "54000000100010005c000000000000009c000000358208820501280a0000000f44006f006d006100"
    "69006e00550073006500720043004f004d0050005500540045005200"
    "aaaaaaaaaaaaaaaa00000000000000000000000000000000"
    "7537f803ae367128ca458204bde7caf81e97ed2683267232";
inline constexpr std::string_view authenticate_4_2_4_3 =
    "4e544c4d5353500003000000180018006c00000054005400840000000c000c004800000008000800"
    "54000000100010005c00000010001000d8000000358288e20501280a0000000f44006f006d006100"
    "69006e00550073006500720043004f004d0050005500540045005200"
    "86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa"
    "68cd0ab851e51c96aabc927bebef6a1c01010000000000000000000000000000aaaaaaaaaaaaaaaa00000000"
    "02000c0044006f006d00610069006e0001000c005300650072007600650072000000000000000000"
    "c5dad2544fc9799094ce1ce90bc9d03e";

} // namespace test

#endif
