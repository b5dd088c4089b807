#include <rpch/auth/ntlm_messages.hpp>

#include <doctest/doctest.h>

#include <rpch/auth/ntlm_text.hpp>

#include "ntlm_support.hpp"
#include "tests/support/bytes.hpp"

using namespace rpch;
using namespace rpch::auth;

namespace {

test::bytes copy(byte_view in) { return test::bytes(in.begin(), in.end()); }
test::bytes wide(std::string_view text) { return copy(ntlm_to_utf16(text)->bytes()); }

// [MS-NLMP] 4.2.4.3.
const test::bytes challenge =
    test::hex("4e544c4d53535000020000000c000c003800000033828ae20123456789abcdef0000000000000000"
              "2400240044000000060070170000000f530065007200760065007200"
              "02000c0044006f006d00610069006e0001000c0053006500720076006500720000000000");
const test::bytes authenticate = test::hex(test::authenticate_4_2_4_3);

/// The messages of NTLMv1's examples.
struct v1_example {
    std::string_view section;
    test::bytes challenge;
    std::uint32_t challenge_flags;
    test::bytes authenticate;
    std::uint32_t flags;
    std::string_view lm_response, nt_response, session_key;
};
const v1_example v1_examples[] = {
    {.section = "4.2.2.3",
     .challenge =
         test::hex("4e544c4d53535000020000000c000c0038000000338202e20123456789abcdef"
                   "00000000000000000000000000000000060070170000000f530065007200760065007200"),
     .challenge_flags = 0xE2028233,
     .authenticate = test::hex(test::authenticate_4_2_2_3),
     .flags = 0xE2808235,
     .lm_response = "98def7b87f88aa5dafe2df779688a172def11c7d5ccdef13",
     .nt_response = "67c43011f30298a2ad35ece64f16331c44bdbed927841f94",
     .session_key = "518822b1b3f350c8958682ecbb3e3cb7"},
    {.section = "4.2.3.3",
     .challenge =
         test::hex("4e544c4d53535000020000000c000c003800000033820a820123456789abcdef"
                   "00000000000000000000000000000000060070170000000f530065007200760065007200"),
     .challenge_flags = 0x820A8233,
     .authenticate = test::hex(test::authenticate_4_2_3_3),
     .flags = 0x82088235,
     .lm_response = "aaaaaaaaaaaaaaaa00000000000000000000000000000000",
     .nt_response = "7537f803ae367128ca458204bde7caf81e97ed2683267232",
     .session_key = ""}};

} // namespace

TEST_CASE("ntlm messages: [MS-NLMP] 4.2.2.3 and 4.2.3.3, CHALLENGE, read and written") {
    for (const auto& example : v1_examples) {
        CAPTURE(example.section);
        const auto read = decode_ntlm_challenge(example.challenge);
        REQUIRE(read);
        CHECK(read->flags == example.challenge_flags);
        CHECK(copy(read->server_challenge) == test::hex("0123456789abcdef"));
        CHECK(copy(read->target_name) == wide("Server"));
        CHECK(read->target_info.empty());
        ntlm_version version{};
        std::ranges::copy(test::hex("060070170000000f"), version.begin());
        // TargetInfoBufferOffset: 2.2.1.2 has it say where the information would be if there were
        // any (SHOULD), and so do we; the examples have 0. Whoever reads it ignores it.
        auto expected = example.challenge;
        core::store(expected.data() + 44, std::uint32_t{68}, core::byte_order::little);
        CHECK(encode_ntlm(*read, version).value() == expected);
    }
}

TEST_CASE("ntlm messages: [MS-NLMP] 4.2.2.3 and 4.2.3.3, AUTHENTICATE, read and written") {
    for (const auto& example : v1_examples) {
        CAPTURE(example.section);
        const auto read = decode_ntlm_authenticate(example.authenticate);
        REQUIRE(read);
        CHECK(read->flags == example.flags);
        CHECK(copy(read->domain) == wide("Domain"));
        CHECK(copy(read->user) == wide("User"));
        CHECK(copy(read->workstation) == wide("COMPUTER"));
        CHECK(copy(read->lm_response) == test::hex(example.lm_response));
        CHECK(copy(read->nt_response) == test::hex(example.nt_response));
        CHECK(copy(read->session_key) == test::hex(example.session_key));
        CHECK_FALSE(read->has_mic);
        CHECK(decode_ntlmv2_response(read->nt_response).error() == errc::not_supported);
        ntlm_version version{};
        std::ranges::copy(test::hex("0501280a0000000f"), version.begin());
        CHECK(encode_ntlm(*read, version).value() == example.authenticate);
    }
}

TEST_CASE("ntlm messages: [MS-NLMP] 4.2.4.3, CHALLENGE, read and written") {
    const auto read = decode_ntlm_challenge(challenge);
    REQUIRE(read);
    CHECK(read->flags == 0xE28A8233);
    CHECK(copy(read->server_challenge) == test::hex("0123456789abcdef"));
    CHECK(copy(read->target_name) == wide("Server"));
    const auto pairs = decode_ntlm_av_pairs(read->target_info);
    REQUIRE(pairs);
    CHECK(pairs->count == 2);
    CHECK(copy(pairs->find(ntlm_av::netbios_domain).value()) == wide("Domain"));
    CHECK(copy(pairs->find(ntlm_av::netbios_computer).value()) == wide("Server"));
    CHECK_FALSE(pairs->find(ntlm_av::timestamp));
    ntlm_version version{};
    std::ranges::copy(test::hex("060070170000000f"), version.begin());
    CHECK(encode_ntlm(*read, version).value() == challenge);
}

TEST_CASE("ntlm messages: [MS-NLMP] 4.2.4.3, AUTHENTICATE, read and written") {
    const auto read = decode_ntlm_authenticate(authenticate);
    REQUIRE(read);
    CHECK(read->flags == 0xE2888235);
    CHECK(copy(read->domain) == wide("Domain"));
    CHECK(copy(read->user) == wide("User"));
    CHECK(copy(read->workstation) == wide("COMPUTER"));
    CHECK(copy(read->lm_response) == test::hex("86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa"));
    CHECK(copy(read->session_key) == test::hex("c5dad2544fc9799094ce1ce90bc9d03e"));
    CHECK_FALSE(read->has_mic);
    const auto response = decode_ntlmv2_response(read->nt_response);
    REQUIRE(response);
    CHECK(copy(response->proof) == test::hex("68cd0ab851e51c96aabc927bebef6a1c"));
    CHECK(response->time == 0);
    CHECK(response->target_info.count == 2);
    ntlm_version version{};
    std::ranges::copy(test::hex("0501280a0000000f"), version.begin());
    CHECK(encode_ntlm(*read, version).value() == authenticate);
}

TEST_CASE("ntlm messages: NEGOTIATE as short as its flags, and ours") {
    const auto shortest = test::hex("4e544c4d535350000100000007820800");
    CHECK(decode_ntlm_negotiate(shortest)->flags == 0x00088207);
    const auto ours = encode_ntlm(ntlm_negotiate{0x02000001}).value();
    CHECK(ours.size() == 40);
    CHECK(decode_ntlm_negotiate(ours)->flags == 0x02000001);
    CHECK(copy(std::span(ours).subspan(32)) == copy(ntlm_our_version));
    const auto plain = encode_ntlm(ntlm_negotiate{1}).value();
    CHECK(copy(std::span(plain).subspan(32)) == test::bytes(8));
}

TEST_CASE("ntlm messages: every shortened message is refused, or has lost nothing") {
    for (std::size_t n = 0; n < challenge.size(); ++n)
        CHECK_FALSE(decode_ntlm_challenge(byte_view(challenge).first(n)));
    for (std::size_t n = 0; n < authenticate.size(); ++n)
        CHECK_FALSE(decode_ntlm_authenticate(byte_view(authenticate).first(n)));
    const auto negotiate = encode_ntlm(ntlm_negotiate{1}).value();
    for (std::size_t n = 0; n < negotiate.size(); ++n)
        CHECK(decode_ntlm_negotiate(byte_view(negotiate).first(n)).has_value() == (n >= 16));
}

TEST_CASE("ntlm messages: refused with the error that names the reason") {
    CHECK(decode_ntlm_negotiate(challenge).error() == errc::bad_value); // another type
    CHECK(decode_ntlm_challenge(authenticate).error() == errc::bad_value);
    auto bad = challenge;
    bad[0] = std::byte{'M'};
    CHECK(decode_ntlm_challenge(bad).error() == errc::bad_value);
    bad = challenge;
    for (const std::size_t at : {16U, 44U}) { // an offset outside of the message
        auto outside = challenge;
        std::fill_n(outside.begin() + static_cast<std::ptrdiff_t>(at), 4, std::byte{0xFF});
        CHECK(decode_ntlm_challenge(outside).error() == errc::bad_value);
    }
    CHECK(decode_ntlm_challenge(byte_view(challenge).first(31)).error() == errc::truncated);
    CHECK(decode_ntlm_challenge(byte_view(challenge).first(40)).error() == errc::bad_value);
    bad.resize(limits::auth_token_bytes_max + 1);
    CHECK(decode_ntlm_challenge(bad).error() == errc::too_large);
    auto key = authenticate;
    key[52] = std::byte{8}; // a session key of 8 bytes
    CHECK(decode_ntlm_authenticate(key).error() == errc::bad_value);
    const test::bytes name(limits::ntlm_name_bytes_max + 2, std::byte{1});
    CHECK(decode_ntlm_authenticate(encode_ntlm(ntlm_authenticate{.user = name}).value()).error() ==
          errc::bad_value);
    CHECK(encode_ntlm(ntlm_authenticate{.nt_response = test::bytes(70000)}).error() ==
          errc::too_large);
}

TEST_CASE("ntlm messages: fields of length 0 may point anywhere, and a MIC needs its room") {
    auto empty = encode_ntlm(ntlm_authenticate{.has_mic = true}).value();
    CHECK(decode_ntlm_authenticate(empty)->has_mic);
    std::fill_n(empty.begin() + 16, 4, std::byte{0xFF});
    CHECK(decode_ntlm_authenticate(empty)->lm_response.empty());
    CHECK_FALSE(decode_ntlm_authenticate(byte_view(empty).first(87))->has_mic);
    CHECK_FALSE(decode_ntlm_authenticate(byte_view(empty).first(64))->has_mic);
}

TEST_CASE("ntlm messages: lists of AV pairs that are cut, repeated, too long or of wrong sizes") {
    const auto error = [](std::string_view text) {
        return decode_ntlm_av_pairs(test::hex(text)).error();
    };
    CHECK(decode_ntlm_av_pairs(test::hex("00000000"))->count == 0);
    CHECK(decode_ntlm_av_pairs(test::hex("00000000 ffff"))->count == 0);
    CHECK(decode_ntlm_av_pairs(test::hex("06000400 02000000 00000000"))->flags() == 2);
    CHECK(error("") == errc::truncated);
    CHECK(error("000000") == errc::truncated);
    CHECK(error("01000200 4100") == errc::truncated);
    CHECK(error("01000300 4100") == errc::truncated);
    CHECK(error("01000000 01000000 00000000") == errc::bad_value);
    CHECK(error("06000200 0000 00000000") == errc::bad_value);
    CHECK(error("07000400 00000000 00000000") == errc::bad_value);
    CHECK(error("0a000400 00000000 00000000") == errc::bad_value);
    test::bytes many;
    for (std::uint16_t id = 100; id < 100 + limits::ntlm_av_pairs_max; ++id)
        append_ntlm_av_pair(many, ntlm_av{id}, {});
    auto fits = many;
    append_ntlm_av_pair(fits, ntlm_av::end, {});
    CHECK(decode_ntlm_av_pairs(fits)->count == limits::ntlm_av_pairs_max);
    append_ntlm_av_pair(many, ntlm_av{50}, {});
    CHECK(decode_ntlm_av_pairs(many).error() == errc::too_many);
}

TEST_CASE("ntlm messages: responses of NTLMv1 and of unknown versions are told apart") {
    CHECK(decode_ntlmv2_response(test::bytes(24)).error() == errc::not_supported);
    CHECK(decode_ntlmv2_response(test::bytes(43)).error() == errc::truncated);
    CHECK(decode_ntlmv2_response(test::bytes(48)).error() == errc::bad_version);
}
