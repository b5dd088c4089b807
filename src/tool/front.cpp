#include "front.hpp"

#include <utility>

namespace tool {

std::string apply(const front_options& options, rpch::proxy_settings& settings,
                  std::shared_ptr<rpch::transport::tls_context>& tls,
                  std::shared_ptr<file_accounts>& accounts) {
    acceptor_choice by_providers{{}, options.users, options.keytab};
    settings.users_file = options.users;
    settings.allow_plain = options.allow_plain;
    for (const std::string& scheme : options.auth) {
        if (scheme == "none")
            settings.allow_anonymous = true;
        else if (scheme == "basic")
            settings.allow_basic = true;
        else if (scheme == "ntlm" || scheme == "negotiate")
            by_providers.schemes.push_back(scheme);
        else
            return "--auth " + scheme + " is not supported; none, basic, ntlm and negotiate are";
    }
    std::string why_not;
    const auto made_acceptors = make_acceptors(by_providers, "--auth", why_not);
    if (!made_acceptors) return why_not;
    settings.http_acceptors = made_acceptors->list;
    accounts = made_acceptors->accounts;
    if (options.auth.empty())
        return "say who may log on: --auth basic, ntlm or both with --users, or --auth none";
    if (options.cert.empty())
        return options.allow_plain ? ""
                                   : "give --cert and --key, or --allow-plain for HTTP without TLS";
    rpch::transport::tls_server_options certificate;
    certificate.certificate_chain_file = options.cert;
    certificate.private_key_file = options.key;
    std::string why;
    auto made = rpch::transport::tls_context::make_server(certificate, &why);
    if (!made) return why.empty() ? made.error().message() : why;
    tls = std::move(*made);
    return {};
}

} // namespace tool
