// Users of the domain RPCHDOM who log on by NTLM, with the system's randomness and time.
#ifndef RPCH_TESTS_SUPPORT_NTLM_CLIENT_HPP
#define RPCH_TESTS_SUPPORT_NTLM_CLIENT_HPP

#include <memory>
#include <string>
#include <utility>

#include <rpch/auth/ntlm.hpp>
#include <rpch/core/secret.hpp>
#include <rpch/transport/ntlm_environment.hpp>

namespace test {

inline const rpch::auth::ntlm_environment& environment() {
    return rpch::transport::system_ntlm_environment();
}

inline std::shared_ptr<rpch::auth::ntlm_initiator> client_of(const std::string& user,
                                                             const std::string& password) {
    rpch::auth::ntlm_credentials who;
    who.user = user;
    who.domain = "RPCHDOM";
    who.password = rpch::core::secret(password);
    return std::make_shared<rpch::auth::ntlm_initiator>(environment(), std::move(who));
}

} // namespace test

#endif
