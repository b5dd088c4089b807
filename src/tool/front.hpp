// What `rpch proxy` and `rpch serve --https` have in common: who is let in, and the certificate.
#ifndef RPCH_TOOL_FRONT_HPP
#define RPCH_TOOL_FRONT_HPP

#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include <rpch/proxy/proxy_settings.hpp>
#include <rpch/transport/tls_context.hpp>

#include "options.hpp"
#include "rpc_security.hpp"

namespace tool {

/// Takes over what the options say.
/// @param tls       receives the certificate's context; null for plain HTTP.
/// @param accounts  receives the accounts of NTLM, to be read again; null without NTLM.
/// @return what is wrong, for people; empty if nothing is.
std::string apply(const front_options& options, rpch::proxy_settings& settings,
                  std::shared_ptr<rpch::transport::tls_context>& tls,
                  std::shared_ptr<file_accounts>& accounts);

/// Takes over what the options say of channels.
void apply(const channel_options& options, rpch::proxy_settings& settings);

/// What a SIGHUP reads again, and who has to hear of it.
struct reloadable {
    /// Has the library read what it reads itself.
    std::function<std::error_code(std::string* why)> rules;
    std::vector<std::shared_ptr<file_accounts>> accounts; ///< Null ones are passed over.
    std::shared_ptr<rpch::transport::tls_context> tls;    ///< What is shown; null for plain HTTP.
    /// Has the library show another one instead.
    std::function<std::error_code(std::shared_ptr<rpch::transport::tls_context> current,
                                  std::shared_ptr<rpch::transport::tls_context> fresh)>
        show;
};

/// Reads users file, certificate and key again, all of them, or nothing is changed; and tells the
/// log.
void reload(const front_options& options, reloadable& what);

} // namespace tool

#endif
