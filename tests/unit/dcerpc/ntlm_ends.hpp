#ifndef RPCH_TESTS_UNIT_DCERPC_NTLM_ENDS_HPP
#define RPCH_TESTS_UNIT_DCERPC_NTLM_ENDS_HPP

// A pair whose security contexts are NTLM's instead of the toy's.

#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include <rpch/auth/ntlm.hpp>
#include <rpch/transport/ntlm_environment.hpp>

#include "tests/unit/dcerpc/secured_pair.hpp"

namespace test::secured {

/// Secures a pair that was made with the settings.
using secured_with = std::function<std::uint32_t(pair&, level)>;

/// Both ends with the NTLM of a user.
struct ntlm_ends {
    ntlm_ends() {
        auto users = std::make_shared<auth::ntlm_account_list>();
        users->add({"user", "domain", auth::ntowf_v1("Password").value()});
        auth::ntlm_credentials who;
        who.user = "user";
        who.domain = "domain";
        who.password = core::secret(std::string_view("Password"));
        const auto& env = transport::system_ntlm_environment();
        initiator = std::make_shared<auth::ntlm_initiator>(env, std::move(who));
        acceptor = std::make_shared<auth::ntlm_acceptor>(env, std::move(users),
                                                         auth::ntlm_server_settings{});
    }
    [[nodiscard]] settings with() const {
        settings out;
        out.server.security.push_back(acceptor);
        return out;
    }
    [[nodiscard]] std::uint32_t secure(pair& p, level l) const {
        auth::security_options wanted;
        wanted.level = l;
        wanted.target = "host/server.example";
        const auto id = p.client.add_security({.provider = auth::security_provider::ntlm,
                                               .level = l,
                                               .context = initiator->initiate(wanted).value()});
        return id.value();
    }
    std::shared_ptr<auth::ntlm_initiator> initiator;
    std::shared_ptr<auth::ntlm_acceptor> acceptor;
};

} // namespace test::secured

#endif
