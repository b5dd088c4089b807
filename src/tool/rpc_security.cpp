#include "rpc_security.hpp"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <initializer_list>
#include <string_view>
#include <system_error>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>

#include <rpch/auth/ntlm_users.hpp>
#include <rpch/auth/spnego.hpp>
#include <rpch/core/secret.hpp>
#include <rpch/transport/kerberos.hpp>
#include <rpch/transport/ntlm_environment.hpp>
#include <rpch/transport/users_file.hpp>

#include "service_loop.hpp"

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

/// `name@REALM`, or a bare name of the default realm. A domain in front is NTLM's word for a realm,
/// which it need not equal: it is taken for one in upper case.
rpch::transport::kerberos_credentials kerberos_credentials_of(const initiator_choice& choice) {
    rpch::transport::kerberos_credentials out;
    if (const std::size_t at = choice.user.find('\\'); at != std::string::npos) {
        out.user = choice.user.substr(at + 1);
        out.realm = choice.user.substr(0, at);
        for (char& c : out.realm)
            if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    } else if (const std::size_t sign = choice.user.rfind('@'); sign != std::string::npos) {
        out.user = choice.user.substr(0, sign);
        out.realm = choice.user.substr(sign + 1);
    } else
        out.user = choice.user;
    out.password = rpch::core::secret(choice.password);
    return out;
}

bool names_any(const std::vector<std::string>& schemes,
               std::initializer_list<std::string_view> of) {
    return std::find_first_of(schemes.begin(), schemes.end(), of.begin(), of.end()) !=
           schemes.end();
}

/// Why a keytab is of no use. GSSAPI says the same of a file that is not there.
std::string why_no_key(const std::string& keytab) {
    if (keytab.empty()) return "no key in the system's keytab: give --keytab";
    const std::string file = keytab.starts_with("FILE:") ? keytab.substr(5) : keytab;
    struct stat about {};
    if (::stat(file.c_str(), &about) != 0 || ::access(file.c_str(), R_OK) != 0)
        return "cannot read the keytab " + file + ": " + std::generic_category().message(errno);
    if (!S_ISREG(about.st_mode)) return "the keytab " + file + " is no file";
    std::ifstream content(file, std::ios::binary);
    const int first = content.get();
    const int version = content.get();
    if (about.st_size != 0 && (first != 5 || version < 1 || version > 2)) // MIT's keytab format
        return "the file " + file + " is no keytab: export the service's (ktutil, ktadd)";
    return "no key in the keytab " + file + ": export the service's (ktutil, ktadd)";
}

std::string computer_name() {
    char name[256] = {};
    if (::gethostname(name, sizeof name - 1) != 0) return "RPCH";
    std::string out(name);
    return out.substr(0, out.find('.'));
}

} // namespace

std::string file_accounts::read() {
    std::string why;
    auto users = rpch::transport::read_users_file(path_, &why);
    if (!users) return why;
    const auto fresh = std::make_shared<const rpch::auth::users_file>(std::move(*users));
    if (const std::size_t n = fresh->count_with_nt_hash(); n < fresh->size())
        log_line("users without an NT hash, who cannot log on by NTLM (rpch passwd --ntlm): " +
                 std::to_string(fresh->size() - n) + " of " + std::to_string(fresh->size()));
    const std::lock_guard lock(mutex_);
    users_ = fresh;
    return {};
}

std::optional<rpch::auth::ntlm_account> file_accounts::find(std::string_view user,
                                                            std::string_view domain) const {
    std::shared_ptr<const rpch::auth::users_file> now;
    {
        const std::lock_guard lock(mutex_);
        now = users_;
    }
    return rpch::auth::ntlm_users(now).find(user, domain);
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
    std::shared_ptr<rpch::auth::security_acceptor> kerberos;
    const auto make_kerberos = [&]() -> bool {
        if (!rpch::transport::has_kerberos()) {
            why = option + ": this build has no Kerberos";
            return false;
        }
        kerberos = std::make_shared<rpch::transport::kerberos_acceptor>(
            rpch::transport::kerberos_server_settings{.keytab = choice.keytab});
        if (kerberos->accept({})) return true; // it reads the keytab; better now than at a call
        why = option + ": " + why_no_key(choice.keytab);
        return false;
    };
    for (const std::string& scheme : choice.schemes) {
        const bool negotiate = scheme == "negotiate";
        if (std::count(choice.schemes.begin(), choice.schemes.end(), scheme) > 1) {
            why = option + " names " + scheme + " twice";
            return std::nullopt;
        }
        if (scheme != "ntlm" && scheme != "kerberos" && !negotiate) {
            why = option + " " + scheme + " is not supported; ntlm, negotiate and kerberos are";
            return std::nullopt;
        }
        // What Negotiate chooses from is what there is something for: users, keys.
        const bool wants_ntlm = scheme == "ntlm" || (negotiate && !choice.users.empty());
        const bool wants_kerberos = scheme == "kerberos" || (negotiate && !choice.keytab.empty());
        if (negotiate && !wants_ntlm && !wants_kerberos) {
            why = option + " negotiate needs --keytab, --users or both";
            return std::nullopt;
        }
        if (wants_ntlm && !ntlm && !make_ntlm()) return std::nullopt;
        if (wants_kerberos && !kerberos && !make_kerberos()) return std::nullopt;
        if (!negotiate) {
            out.list.push_back(scheme == "ntlm" ? ntlm : kerberos);
            continue;
        }
        std::vector<std::shared_ptr<rpch::auth::security_acceptor>> inside;
        if (wants_kerberos) inside.push_back(kerberos);
        if (wants_ntlm) inside.push_back(ntlm);
        out.list.push_back(std::make_shared<rpch::auth::spnego_acceptor>(std::move(inside)));
    }
    return out;
}

bool uses_keytab(const std::vector<std::string>& schemes) {
    return names_any(schemes, {"kerberos", "negotiate"});
}

bool uses_users(const std::vector<std::string>& schemes) {
    return names_any(schemes, {"basic", "ntlm", "negotiate"});
}

std::shared_ptr<rpch::auth::security_initiator> make_initiator(const initiator_choice& choice,
                                                               std::string& why) {
    std::vector<std::shared_ptr<rpch::auth::security_initiator>> mechanisms;
    if (choice.scheme == "kerberos" && !rpch::transport::has_kerberos()) {
        why = "this build has no Kerberos";
        return nullptr;
    }
    if (choice.scheme != "ntlm" && rpch::transport::has_kerberos())
        mechanisms.push_back(
            std::make_shared<rpch::transport::kerberos_initiator>(kerberos_credentials_of(choice)));
    if (choice.scheme != "kerberos" && !choice.user.empty())
        mechanisms.push_back(std::make_shared<rpch::auth::ntlm_initiator>(
            rpch::transport::system_ntlm_environment(), credentials_of(choice)));
    if (mechanisms.empty()) {
        why = choice.scheme + " needs --user";
        return nullptr;
    }
    if (choice.scheme != "negotiate") return mechanisms.front();
    return std::make_shared<rpch::auth::spnego_initiator>(std::move(mechanisms));
}

std::optional<rpch::auth::authentication_level> parse_level(std::string_view word) {
    using level = rpch::auth::authentication_level;
    if (word == "none") return level::none;
    if (word == "connect") return level::connect;
    if (word == "call") return level::call; // the library takes packet in its place
    if (word == "packet") return level::packet;
    if (word == "integrity") return level::integrity;
    if (word == "privacy") return level::privacy;
    return std::nullopt;
}

} // namespace tool
