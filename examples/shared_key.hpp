// A security provider of one's own, for own_security.cpp: both ends know one key. A TOY that shows
// what a provider has to do: nobody has reviewed it, all have the same key, it signs and cannot
// seal. Programs take NTLM or Kerberos.
#ifndef RPCH_EXAMPLES_SHARED_KEY_HPP
#define RPCH_EXAMPLES_SHARED_KEY_HPP

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

#include <rpch/auth/security_context.hpp>
#include <rpch/core/secret.hpp>
#include <rpch/transport/random.hpp>

#include <mbedtls/md.h>

namespace shared_key {

namespace auth = rpch::auth;
using rpch::byte_view;
using rpch::errc;
using bytes = std::vector<std::byte>;
using key = std::shared_ptr<const rpch::core::secret>;

// The auth_type in PDUs: one that [MS-RPCE] 2.2.1.1.7 gives to nobody.
inline constexpr auto provider_number = static_cast<auth::security_provider>(0xF0);
inline constexpr std::size_t nonce_bytes = 16, mac_bytes = 32;

/// HMAC-SHA256 over the parts one after the other.
inline bytes mac(byte_view with, std::initializer_list<byte_view> parts) {
    const auto plain = [](byte_view v) { return reinterpret_cast<const unsigned char*>(v.data()); };
    bytes out(mac_bytes);
    mbedtls_md_context_t md;
    mbedtls_md_init(&md);
    if (mbedtls_md_setup(&md, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), 1) != 0)
        throw std::bad_alloc();
    mbedtls_md_hmac_starts(&md, plain(with), with.size());
    for (const byte_view part : parts) mbedtls_md_hmac_update(&md, plain(part), part.size());
    mbedtls_md_hmac_finish(&md, reinterpret_cast<unsigned char*>(out.data()));
    mbedtls_md_free(&md);
    return out;
}

/// One end of one connection. Client: nonce. Server: nonce and proof. Client: proof.
class context final : public auth::security_context {
  public:
    context(key shared, bool is_client, auth::authentication_level level)
        : key_(std::move(shared)),
          is_client_(is_client),
          said_{static_cast<std::byte>(level)} {} // proved as well: nobody between lowers it

    // First the tokens, until both ends are sure.
    rpch::result<bytes> step(byte_view token) override {
        if (is_established()) return rpch::fail(errc::bad_security_token);
        return is_client_ ? client_step(token) : server_step(token);
    }
    bool is_established() const noexcept override { return !session_key_.empty(); }

    // Then a signature for each message, which counts: none may be repeated or left out.
    std::size_t signature_bytes(bool) const noexcept override { return mac_bytes; }
    std::error_code protect(bool seal, const auth::protected_message& message,
                            rpch::byte_span signature) override {
        if (seal || !is_established()) return errc::authentication_failed;
        std::ranges::copy(sign(is_client_, sent_++, message), signature.begin());
        return {};
    }
    std::error_code unprotect(bool sealed, const auth::protected_message& message,
                              byte_view signature) override {
        if (sealed || !is_established()) return errc::bad_signature;
        const bytes wanted = sign(!is_client_, received_++, message);
        if (!rpch::core::equal_constant_time(signature, wanted)) return errc::bad_signature;
        return {};
    }

    const auth::peer_identity& peer() const noexcept override { return peer_; }
    byte_view session_key() const noexcept override { return session_key_; }

    // SPNEGO alone asks for these, and it does not know this mechanism.
    rpch::result<bytes> make_mic(byte_view) override { return rpch::fail(errc::not_supported); }
    std::error_code check_mic(byte_view, byte_view) override { return errc::not_supported; }

  private:
    rpch::result<bytes> client_step(byte_view token) {
        if (is_first_step()) return own_nonce();
        if (token.size() != nonce_bytes + mac_bytes) return rpch::fail(errc::bad_security_token);
        add_nonce(token.first(nonce_bytes));
        if (!proves(token.subspan(nonce_bytes))) return rpch::fail(errc::bad_credentials);
        return proof(true);
    }
    rpch::result<bytes> server_step(byte_view token) {
        if (!is_first_step()) {
            if (!proves(token)) return rpch::fail(errc::bad_credentials);
            return bytes{}; // nothing more to say
        }
        if (token.size() != nonce_bytes) return rpch::fail(errc::bad_security_token);
        add_nonce(token);
        auto answer = own_nonce();
        if (!answer) return answer;
        const bytes ours = proof(false);
        answer->insert(answer->end(), ours.begin(), ours.end());
        return answer;
    }

    bool is_first_step() const noexcept { return said_.size() == 1; }
    void add_nonce(byte_view nonce) { said_.insert(said_.end(), nonce.begin(), nonce.end()); }
    rpch::result<bytes> own_nonce() {
        bytes nonce(nonce_bytes);
        if (const auto bad = rpch::transport::random_bytes(nonce)) return rpch::fail(bad);
        add_nonce(nonce);
        return nonce;
    }
    bytes labelled(std::string_view label) const {
        return mac(key_->bytes(), {rpch::core::as_bytes(label), said_});
    }
    bytes proof(bool by_client) const { return labelled(by_client ? "client" : "server"); }
    bool proves(byte_view token) {
        if (!rpch::core::equal_constant_time(token, proof(!is_client_))) return false;
        session_key_ = labelled("session");
        return true;
    }
    bytes sign(bool by_client, std::uint64_t number, const auth::protected_message& m) const {
        std::array<std::byte, 9> counted{static_cast<std::byte>(by_client)};
        rpch::core::store(&counted[1], number, rpch::core::byte_order::big);
        return mac(session_key_, {counted, m.head, m.body, m.tail});
    }

    key key_;
    bool is_client_;
    bytes said_; // level and nonces
    bytes session_key_;
    std::uint64_t sent_ = 0, received_ = 0;
    auth::peer_identity peer_{.user = "partner", .mechanism = "shared key"};
};

/// Makes contexts, of clients and of servers: for client_options::rpc_security and
/// server_settings::rpc_security. A provider may as well have a class for each end.
class mechanism final : public auth::security_initiator, public auth::security_acceptor {
  public:
    explicit mechanism(std::string_view shared)
        : key_(std::make_shared<const rpch::core::secret>(shared)) {}
    auth::security_provider provider() const noexcept override { return provider_number; }

    using made = rpch::result<std::unique_ptr<auth::security_context>>;
    made initiate(const auth::security_options& o) override { return make(true, o.level); }
    made accept(const auth::security_options& o) override { return make(false, o.level); }

  private:
    made make(bool is_client, auth::authentication_level level) const {
        if (level == auth::authentication_level::privacy) // it would have to seal
            return rpch::fail(errc::security_not_supported);
        return std::make_unique<context>(key_, is_client, level);
    }
    key key_;
};

} // namespace shared_key

#endif
