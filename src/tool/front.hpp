// What `rpch proxy` and `rpch serve --https` have in common: who is let in, and the certificate.
#ifndef RPCH_TOOL_FRONT_HPP
#define RPCH_TOOL_FRONT_HPP

#include <memory>
#include <string>

#include <rpch/proxy/proxy_settings.hpp>
#include <rpch/transport/tls_context.hpp>

#include "options.hpp"
#include "rpc_security.hpp"

namespace tool {

/// Reads the certificate and its key.
/// @return what shows them; null if something is wrong, which `why` explains.
std::shared_ptr<rpch::transport::tls_context> read_certificate(const front_options& options,
                                                               std::string& why);

/// Takes over what the options say.
/// @param tls       receives the certificate's context; null for plain HTTP.
/// @param accounts  receives the accounts of NTLM, to be read again; null without NTLM.
/// @return what is wrong, for people; empty if nothing is.
std::string apply(const front_options& options, rpch::proxy_settings& settings,
                  std::shared_ptr<rpch::transport::tls_context>& tls,
                  std::shared_ptr<file_accounts>& accounts);

/// Tells the log what came of a SIGHUP.
/// @param wrong  what was refused, so that nothing is changed; empty if all was read again.
void log_reload(const front_options& options, const std::string& wrong);

} // namespace tool

#endif
