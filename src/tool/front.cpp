#include "front.hpp"

#include <chrono>
#include <cstdio>
#include <utility>

#include "service_loop.hpp"

namespace tool {

namespace {

/// Reads the certificate and its key.
/// @return what shows them; null if something is wrong, which `why` explains.
std::shared_ptr<rpch::transport::tls_context> read_certificate(const front_options& options,
                                                               std::string& why) {
    rpch::transport::tls_server_options certificate;
    certificate.certificate_chain_file = options.cert;
    certificate.private_key_file = options.key;
    auto made = rpch::transport::tls_context::make_server(certificate, &why);
    if (made) return std::move(*made);
    if (why.empty()) why = made.error().message();
    return nullptr;
}

/// Tells the log how long the certificate is good: nobody sees it before the clients do.
void tell_validity(const rpch::transport::tls_context& shown) {
    constexpr std::chrono::days renewed_before{14};
    const auto end = shown.good_until();
    const auto day = std::chrono::floor<std::chrono::days>(end);
    const std::chrono::year_month_day date{day};
    const std::chrono::hh_mm_ss time{end - day};
    char text[96];
    std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02dZ", int{date.year()},
                  unsigned{date.month()}, unsigned{date.day()},
                  static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                  static_cast<int>(time.seconds().count()));
    // In seconds: the year 9999, which means "never", does not fit into nanoseconds.
    const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    if (end <= now)
        log_line(std::string("the certificate has expired at ") + text +
                 ": clients refuse it; renew it and send SIGHUP");
    else
        log_line(std::string("the certificate is good until ") + text +
                 (end - now < renewed_before ? ": renew it soon and send SIGHUP" : ""));
}

/// @return what is wrong, so that nothing is changed; or nothing.
std::string read_again(const front_options& options, reloadable& what) {
    std::string why;
    const auto fresh = what.tls ? read_certificate(options, why) : nullptr;
    if (what.tls && !fresh) return why;
    if (const auto bad = what.rules(&why)) return why.empty() ? bad.message() : why;
    for (const auto& each : what.accounts)
        if (each && why.empty()) why = each->read();
    if (!why.empty() || !fresh) return why;
    if (const auto bad = what.show(what.tls, fresh)) return bad.message();
    what.tls = fresh;
    return {};
}

} // namespace

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
    if (settings.allow_basic && options.users.empty())
        return "--auth basic needs --users, a file made by `rpch passwd`";
    if (options.auth.empty())
        return "say who may log on: --auth basic, ntlm or negotiate with --users or --keytab, or "
               "--auth none";
    if (options.cert.empty())
        return options.allow_plain ? ""
                                   : "give --cert and --key, or --allow-plain for HTTP without TLS";
    if (options.allow_plain)
        return "--allow-plain serves HTTP without TLS, --cert and --key with it: give one of them";
    tls = read_certificate(options, why_not);
    if (tls) tell_validity(*tls);
    return why_not;
}

void apply(const channel_options& options, rpch::proxy_settings& settings) {
    if (options.channel_lifetime) settings.channel_lifetime = *options.channel_lifetime;
    if (options.receive_window)
        settings.in_receive_window = settings.out_receive_window = *options.receive_window;
    if (options.connection_timeout_s)
        settings.connection_timeout = std::chrono::seconds(*options.connection_timeout_s);
}

void reload(const front_options& options, reloadable& what) {
    const std::string wrong = read_again(options, what);
    if (!wrong.empty()) return log_line("reload refused, going on as before: " + wrong);
    std::string read = options.users.empty() ? "" : "users file";
    if (!options.cert.empty())
        read += read.empty() ? "certificate and key" : ", certificate and key";
    log_line(read.empty() ? "reload: neither users file nor certificate is in use"
                          : "read again: " + read);
    if (what.tls) tell_validity(*what.tls);
}

} // namespace tool
