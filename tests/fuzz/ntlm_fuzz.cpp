// Arbitrary bytes as tokens of NTLM: the three decoders and what is in them, then both ends.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include <rpch/auth/ntlm.hpp>
#include <rpch/auth/ntlm_messages.hpp>
#include <rpch/auth/ntlm_text.hpp>

using namespace rpch;
using namespace rpch::auth;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

/// MD5 that is none: every proof is right, so that the code behind the proof is reached.
class agreeable_environment final : public ntlm_environment {
  public:
    [[nodiscard]] bool has_md5() const noexcept override { return true; }
    void md5(std::span<const byte_view>, std::span<std::byte, 16> out) const override {
        std::ranges::fill(out, std::byte{});
    }
    void hmac_md5(byte_view, std::span<const byte_view>,
                  std::span<std::byte, 16> out) const override {
        std::ranges::fill(out, std::byte{});
    }
    [[nodiscard]] std::error_code fill_random(byte_span out) const override {
        std::ranges::fill(out, std::byte{});
        return {};
    }
    [[nodiscard]] std::uint64_t filetime_now() const override { return 0; }
};

void decode_all(byte_view token) {
    static_cast<void>(decode_ntlm_negotiate(token));
    static_cast<void>(decode_ntlm_av_pairs(token));
    static_cast<void>(decode_ntlmv2_response(token));
    if (const auto text = ntlm_from_utf16(token))
        require(std::ranges::equal(ntlm_to_utf16(*text)->bytes(), token));
    if (const auto challenge = decode_ntlm_challenge(token)) {
        static_cast<void>(decode_ntlm_av_pairs(challenge->target_info));
        const auto again = encode_ntlm(*challenge);
        if (again)
            require(decode_ntlm_challenge(*again)->target_info.size() ==
                    challenge->target_info.size());
    }
    if (const auto message = decode_ntlm_authenticate(token)) {
        static_cast<void>(decode_ntlmv2_response(message->nt_response));
        // Fields that overlap in the token no longer do, which may be too much for a message.
        const auto again = encode_ntlm(*message);
        if (again)
            require(decode_ntlm_authenticate(*again)->nt_response.size() ==
                    message->nt_response.size());
    }
}

void talk_to_both(byte_view token, bool signs) {
    const agreeable_environment environment;
    auto accounts = std::make_shared<ntlm_account_list>();
    accounts->add({"User", "", ntlm_key{}});
    const security_options options{.level = signs ? authentication_level::privacy
                                                  : authentication_level::connect};
    ntlm_acceptor acceptor(environment, accounts, {.allow_anonymous = true});
    ntlm_credentials who;
    who.user = "User";
    ntlm_initiator initiator(environment, std::move(who));
    const auto client = std::move(initiator.initiate(options).value());
    const auto negotiate = client->step({}).value();
    if (client->step(token)) require(client->session_key().size() == 16);
    const auto first = std::move(acceptor.accept(options).value());
    static_cast<void>(first->step(token));
    const auto second = std::move(acceptor.accept(options).value());
    require(second->step(negotiate).has_value());
    if (second->step(token)) require(second->is_established());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto token = std::as_bytes(std::span(data, size));
    decode_all(token);
    talk_to_both(token, false);
    talk_to_both(token, true);
    return 0;
}
