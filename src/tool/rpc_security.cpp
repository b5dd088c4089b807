#include "rpc_security.hpp"

#include <fstream>
#include <iterator>
#include <utility>

#include <unistd.h>

#include <rpch/auth/ntlm_users.hpp>
#include <rpch/core/secret.hpp>
#include <rpch/transport/ntlm_environment.hpp>

namespace tool {

namespace {

/// Splits `DOMAIN\name` and leaves `name@domain` whole, as NTLM wants it.
rpch::auth::ntlm_credentials credentials_of(const initiator_choice& choice) {
    rpch::auth::ntlm_credentials out;
    const std::size_t at = choice.user.find('\\');
    if (at == std::string::npos)
        out.user = choice.user;
    else {
        out.domain = choice.user.substr(0, at);
        out.user = choice.user.substr(at + 1);
    }
    out.password = rpch::core::secret(choice.password);
    return out;
}

std::string computer_name() {
    char name[256] = {};
    if (::gethostname(name, sizeof name - 1) != 0) return "RPCH";
    std::string out(name);
    return out.substr(0, out.find('.'));
}

} // namespace

std::string file_accounts::read() {
    std::ifstream file(path_, std::ios::binary);
    if (!file) return "cannot open the users file " + path_;
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    std::size_t line = 0;
    auto users = rpch::auth::users_file::parse(text, &line);
    if (!users) return "users file, line " + std::to_string(line) + ": " + users.error().message();
    const auto fresh = std::make_shared<const rpch::auth::users_file>(std::move(*users));
    const std::lock_guard lock(mutex_);
    users_ = fresh;
    return {};
}

rpch::auth::ntlm_account_state file_accounts::find(std::string_view user, std::string_view domain,
                                                   rpch::auth::ntlm_key& nt_hash) const {
    std::shared_ptr<const rpch::auth::users_file> now;
    {
        const std::lock_guard lock(mutex_);
        now = users_;
    }
    return rpch::auth::ntlm_users(now).find(user, domain, nt_hash);
}

std::optional<acceptors> make_acceptors(const acceptor_choice& choice, const std::string& option,
                                        std::string& why) {
    acceptors out;
    std::shared_ptr<rpch::auth::security_acceptor> ntlm;
    const auto make_ntlm = [&]() -> bool {
        if (choice.users.empty()) {
            why = option + " ntlm needs --users, with users made by `rpch passwd --ntlm`";
            return false;
        }
        out.accounts = std::make_shared<file_accounts>(choice.users);
        why = out.accounts->read();
        if (!why.empty()) return false;
        rpch::auth::ntlm_server_settings settings;
        settings.netbios_computer = computer_name();
        ntlm = std::make_shared<rpch::auth::ntlm_acceptor>(
            rpch::transport::system_ntlm_environment(), out.accounts, settings);
        return true;
    };
    for (const std::string& scheme : choice.schemes) {
        if (scheme != "ntlm") {
            why = option + " " + scheme + " is not supported; ntlm is";
            return std::nullopt;
        }
        if (!ntlm && !make_ntlm()) return std::nullopt;
        out.list.push_back(ntlm);
    }
    return out;
}

std::shared_ptr<rpch::auth::security_initiator> make_initiator(const initiator_choice& choice,
                                                               std::string& why) {
    if (choice.scheme != "ntlm") {
        why = choice.scheme + " is not supported; ntlm is";
        return nullptr;
    }
    if (choice.user.empty()) {
        why = "ntlm needs --user";
        return nullptr;
    }
    return std::make_shared<rpch::auth::ntlm_initiator>(rpch::transport::system_ntlm_environment(),
                                                        credentials_of(choice));
}

std::optional<rpch::auth::authentication_level> parse_level(std::string_view word) {
    using level = rpch::auth::authentication_level;
    if (word == "none") return level::none;
    if (word == "connect") return level::connect;
    if (word == "packet") return level::packet;
    if (word == "integrity") return level::integrity;
    if (word == "privacy") return level::privacy;
    return std::nullopt;
}

} // namespace tool
