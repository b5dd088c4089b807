// A security provider that protects nothing from anybody but shows everything: for tests of those
// who use one.
#ifndef RPCH_TESTS_SUPPORT_TOY_SECURITY_HPP
#define RPCH_TESTS_SUPPORT_TOY_SECURITY_HPP

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <rpch/auth/security_context.hpp>

#include "tests/support/bytes.hpp"

namespace test {

/// How toy contexts behave; both ends have the same.
struct toy_rules {
    /// Tokens in all, the client's first; with an odd number the client speaks last.
    int legs = 3;
    std::string password = "sesame";
    bool can_sign_headers = true;
    bool always_signs_headers = false;
    bool can_make_mics = true;
    rpch::auth::security_provider provider = rpch::auth::security_provider::ntlm;
    std::size_t signature = 16;
    /// Of an acceptor: users by their passwords, instead of the one password of alice.
    std::map<std::string, std::string> users = {};
    bool anonymous = false;          ///< Of an acceptor: whoever knows the password is nobody.
    std::string user = "alice";      ///< Who the client is; nobody in particular if empty.
    std::shared_ptr<int> alive = {}; ///< Held by every context, so that they can be counted.
};

/// Each leg is its number and the password. A signature is a count and a hash that depends on
/// direction, password, and every byte; sealing is a xor with the count.
class toy_context : public rpch::auth::security_context {
  public:
    toy_context(toy_rules rules, bool is_client)
        : rules_(std::move(rules)), is_client_(is_client) {}

    rpch::result<bytes> step(rpch::byte_view token) override {
        if (done_) return rpch::fail(rpch::errc::bad_security_token);
        const bool is_first_of_client = is_client_ && leg_ == 0;
        if (!is_first_of_client) {
            if (token.empty() || token[0] != std::byte(leg_ + 1))
                return rpch::fail(rpch::errc::bad_security_token);
            if (const auto known =
                    rules_.users.find(std::string(rpch::core::as_text(token.subspan(1))));
                known != rules_.users.end() && user_.empty())
                std::tie(rules_.password, user_) = *known;
            if (rpch::core::as_text(token.subspan(1)) != rules_.password)
                return rpch::fail(rpch::errc::bad_credentials);
            ++leg_;
        }
        bytes out;
        if (leg_ < rules_.legs) {
            ++leg_;
            out.push_back(std::byte(leg_));
            for (const char c : rules_.password) out.push_back(std::byte(c));
        }
        done_ = leg_ == rules_.legs;
        const std::string& name = user_.empty() ? rules_.user : user_;
        if (done_) peer_ = {name, "TOY", "toy", rules_.anonymous || name.empty()};
        return out;
    }
    bool is_established() const noexcept override { return done_; }
    std::size_t signature_bytes(bool seal) const noexcept override {
        return rules_.signature + (seal ? 4 : 0);
    }
    std::error_code protect(bool seal, const rpch::auth::protected_message& m,
                            rpch::byte_span signature) override {
        if (!done_) return rpch::errc::authentication_failed;
        if (failing) return rpch::errc::authentication_failed;
        std::fill(signature.begin(), signature.end(), std::byte{0xEE});
        const std::uint64_t hash = hash_of(m, sent_, is_client_);
        rpch::core::store(signature.data(), hash, rpch::core::byte_order::little);
        if (seal) turn(m.body, sent_);
        ++sent_;
        return {};
    }
    std::error_code unprotect(bool sealed, const rpch::auth::protected_message& m,
                              rpch::byte_view signature) override {
        if (!done_) return rpch::errc::authentication_failed;
        if (signature.size() != signature_bytes(sealed)) return rpch::errc::bad_signature;
        if (sealed) turn(m.body, received_);
        const auto said =
            rpch::core::load<std::uint64_t>(signature.data(), rpch::core::byte_order::little);
        if (said != hash_of(m, received_, !is_client_)) return rpch::errc::bad_signature;
        for (const std::byte b : signature.subspan(8))
            if (b != std::byte{0xEE}) return rpch::errc::bad_signature;
        ++received_;
        return {};
    }
    bool can_sign_headers() const noexcept override { return rules_.can_sign_headers; }
    bool always_signs_headers() const noexcept override { return rules_.always_signs_headers; }
    rpch::result<bytes> make_mic(rpch::byte_view message) override {
        if (!done_ || !rules_.can_make_mics) return rpch::fail(rpch::errc::authentication_failed);
        return mic_of(message, is_client_);
    }
    std::error_code check_mic(rpch::byte_view message, rpch::byte_view mic) override {
        if (!done_ || !rules_.can_make_mics) return rpch::errc::authentication_failed;
        if (std::ranges::equal(mic, mic_of(message, !is_client_))) return {};
        return rpch::errc::bad_signature;
    }
    const rpch::auth::peer_identity& peer() const noexcept override { return peer_; }
    rpch::byte_view session_key() const noexcept override {
        return done_ ? rpch::core::as_bytes(rules_.password) : rpch::byte_view{};
    }

    bool failing = false; ///< As a ticket that has expired.

  private:
    static void turn(rpch::byte_span body, std::uint64_t count) {
        for (std::byte& b : body) b ^= std::byte(0x5A + count % 97);
    }
    /// Counts apart from messages: 0 of its own kind, [MS-SPNG] 3.3.5.1.
    bytes mic_of(rpch::byte_view message, bool from_client) const {
        const std::uint64_t hash = hash_of({.tail = message}, ~std::uint64_t{0}, from_client);
        bytes out(8);
        rpch::core::store(out.data(), hash, rpch::core::byte_order::little);
        return out;
    }
    std::uint64_t hash_of(const rpch::auth::protected_message& m, std::uint64_t count,
                          bool from_client) const {
        std::uint64_t h = 14695981039346656037ULL ^ (count * 2 + (from_client ? 1 : 0));
        const auto add = [&](rpch::byte_view part) {
            for (const std::byte b : part) {
                h ^= std::to_integer<std::uint64_t>(b);
                h *= 1099511628211ULL;
            }
        };
        add(m.head);
        add(m.body);
        add(m.tail);
        add(rpch::core::as_bytes(rules_.password));
        return h;
    }

    toy_rules rules_;
    bool is_client_;
    bool done_ = false;
    int leg_ = 0;
    std::uint64_t sent_ = 0, received_ = 0;
    rpch::auth::peer_identity peer_;
    std::string user_;
};

class toy_acceptor final : public rpch::auth::security_acceptor {
  public:
    explicit toy_acceptor(toy_rules rules = {}) : rules_(std::move(rules)) {}
    rpch::auth::security_provider provider() const noexcept override { return rules_.provider; }
    rpch::result<std::unique_ptr<rpch::auth::security_context>>
    accept(const rpch::auth::security_options& options) override {
        asked.push_back(options);
        return std::make_unique<toy_context>(rules_, false);
    }

    std::vector<rpch::auth::security_options> asked; ///< One for each context.

  private:
    toy_rules rules_;
};

class toy_initiator final : public rpch::auth::security_initiator {
  public:
    explicit toy_initiator(toy_rules rules = {}) : rules_(std::move(rules)) {}
    rpch::auth::security_provider provider() const noexcept override { return rules_.provider; }
    rpch::result<std::unique_ptr<rpch::auth::security_context>>
    initiate(const rpch::auth::security_options& options) override {
        asked.push_back(options);
        return std::make_unique<toy_context>(rules_, true);
    }

    std::vector<rpch::auth::security_options> asked; ///< One for each context.

  private:
    toy_rules rules_;
};

} // namespace test

#endif
