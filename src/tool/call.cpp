// rpch call: one raw call.
#include "options.hpp"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <rpch/client/client.hpp>
#include <rpch/core/secret.hpp>
#include <rpch/core/uuid.hpp>
#include <rpch/dcerpc/string_binding.hpp>
#include <rpch/transport/trust_store.hpp>

#include <asio/io_context.hpp>

#include "json.hpp"
#include "passwords.hpp"
#include "rpc_security.hpp"

namespace tool {

namespace {

using rpch::dcerpc::string_binding;

int refuse(const std::string& why, bool json) {
    if (json) print_json_of_usage(why);
    std::fprintf(stderr, "rpch call: %s\n", why.c_str());
    return usage;
}

/// @return the exit code: a setting that the library does not take is wrong usage.
int report(const rpch::failure& why, bool json) {
    if (json) print_json(why);
    std::fprintf(stderr, "rpch call: %s\n", why.to_string().c_str());
    return why.code == rpch::error_kind::misuse ? usage : failed;
}

std::optional<rpch::interface_id> parse_interface(std::string_view text) {
    const std::size_t at = text.find('@');
    if (at == std::string_view::npos) return std::nullopt;
    const auto id = rpch::uuid::parse(text.substr(0, at));
    const std::string_view version = text.substr(at + 1);
    const std::size_t dot = version.find('.');
    if (!id || dot == std::string_view::npos) return std::nullopt;
    rpch::interface_id out{*id, 0, 0};
    const auto number = [](std::string_view digits, std::uint16_t& value) {
        const auto [end, bad] =
            std::from_chars(digits.data(), digits.data() + digits.size(), value);
        return bad == std::errc{} && end == digits.data() + digits.size();
    };
    if (!number(version.substr(0, dot), out.major) || !number(version.substr(dot + 1), out.minor))
        return std::nullopt;
    return out;
}

std::optional<std::vector<std::byte>> read_stub(const std::string& text, std::string& why) {
    std::vector<std::byte> out;
    if (!text.empty() && text[0] == '@') {
        std::ifstream file(text.substr(1), std::ios::binary);
        for (std::istreambuf_iterator<char> at(file), end; file && at != end; ++at)
            out.push_back(static_cast<std::byte>(*at));
        if (file) return out;
        why = "--stub: cannot read the file " + text.substr(1);
        return std::nullopt;
    }
    why = "--stub wants pairs of hexadecimal digits, or @FILE";
    if (text.size() % 2 != 0) return std::nullopt;
    for (std::size_t i = 0; i < text.size(); i += 2) {
        const int high = rpch::core::hex_digit(text[i]);
        const int low = rpch::core::hex_digit(text[i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        out.push_back(static_cast<std::byte>(high * 16 + low));
    }
    return out;
}

/// What the options and the binding come to.
struct logons {
    bool http = false; ///< The binding is one of ncacn_http.
    bool tls = false;
    std::string http_auth; ///< none, basic, ntlm, negotiate; none over TCP.
    bool rpc = false;      ///< There is security of RPC itself.

    [[nodiscard]] bool user_at_proxy(const credentials_options& o) const {
        return http_auth != "none" && !o.user.empty();
    }
    [[nodiscard]] bool user_at_server(const credentials_options& o) const {
        return rpc && o.rpc_user.empty() && !o.user.empty();
    }
};

std::string_view word_of(rpch::dcerpc::http_auth_option option) {
    using rpch::dcerpc::http_auth_option;
    switch (option) {
    case http_auth_option::basic: return "basic";
    case http_auth_option::ntlm: return "ntlm";
    case http_auth_option::negotiate: return "negotiate";
    }
    return "none";
}

logons logons_of(const string_binding& to, const credentials_options& o) {
    logons out;
    out.http = to.sequence == rpch::dcerpc::protocol_sequence::ncacn_http;
    out.tls = out.http && to.http_use_tls.value_or(true);
    out.rpc = !o.rpc_auth.empty() && o.rpc_auth != "none";
    out.http_auth = !o.auth.empty() ? o.auth : o.user.empty() ? "none" : "basic";
    if (to.http_auth && o.auth.empty()) out.http_auth = word_of(*to.http_auth);
    if (!out.http) out.http_auth = "none";
    return out;
}

/// One reason to refuse, if it holds.
struct objection {
    bool holds;
    const char* why;
};

std::string first_of(std::initializer_list<objection> list) {
    for (const objection& each : list)
        if (each.holds) return each.why;
    return {};
}

/// Options that have no effect on a connection of ncacn_ip_tcp.
std::string of_no_use_over_tcp(const call_options& options, const logons& l) {
    const credentials_options& o = options.credentials;
    return first_of({
        {!o.auth.empty() && o.auth != "none",
         "--auth is the logon at an RPC proxy, and a binding of ncacn_ip_tcp has none: use "
         "--rpc-auth, or a binding of ncacn_http"},
        {!l.rpc && !o.user.empty(),
         "--user and --password-file have no use over ncacn_ip_tcp without --rpc-auth: add "
         "--rpc-auth ntlm, negotiate or kerberos, or leave them out"},
        {!o.ca.empty(),
         "--ca is for TLS, which ncacn_ip_tcp has not: leave it out; --rpc-auth protects calls"},
        {o.insecure,
         "--insecure is for TLS, which ncacn_ip_tcp has not: leave it out; --rpc-auth protects "
         "calls"},
        {o.allow_basic_over_plain,
         "--allow-basic-over-plain is for ncacn_http with --auth basic: leave it out"},
        {options.channel_lifetime.has_value(),
         "--channel-lifetime is for ncacn_http, as ncacn_ip_tcp has no channels: leave it out"},
        {options.receive_window.has_value(),
         "--receive-window is for ncacn_http, as ncacn_ip_tcp has no channels: leave it out"},
        {options.replace_in_below != 0,
         "--replace-in-below is for ncacn_http, as ncacn_ip_tcp has no channels: leave it out"},
    });
}

/// Options that have no effect at the RPC proxy of the binding.
std::string of_no_use_over_http(const string_binding& to, const credentials_options& o,
                                const logons& l) {
    return first_of({
        {to.http_auth && !o.auth.empty() && o.auth != word_of(*to.http_auth),
         "--auth and the binding's HttpAuthOption contradict each other: leave one out"},
        {!l.tls && !o.ca.empty(),
         "--ca is for TLS, which HttpUseTls=false switches off: leave one out"},
        {!l.tls && o.insecure,
         "--insecure is for TLS, which HttpUseTls=false switches off: leave one out"},
        {o.allow_basic_over_plain && l.http_auth != "basic",
         "--allow-basic-over-plain is for --auth basic: leave it out"},
        {o.allow_basic_over_plain && l.tls,
         "--allow-basic-over-plain is for HttpUseTls=false: leave it out"},
        {l.http_auth == "basic" && !l.tls && !o.allow_basic_over_plain,
         "Basic without TLS sends the password readable: use TLS or --auth ntlm, or allow it by "
         "--allow-basic-over-plain"},
        {o.auth == "none" && !o.user.empty() && !l.rpc,
         "--auth none and --user contradict each other"},
    });
}

/// @return what is wrong with options that would be ignored, and what to do; or nothing.
std::string ignored(const call_options& options, const string_binding& to, const logons& l) {
    const credentials_options& o = options.credentials;
    const std::string here =
        l.http ? of_no_use_over_http(to, o, l) : of_no_use_over_tcp(options, l);
    if (!here.empty()) return here;
    const bool own_password = !o.rpc_password_file.empty();
    return first_of({
        {o.rpc_auth == "none" &&
             (!o.rpc_user.empty() || own_password || !o.auth_level.empty() || !o.target.empty()),
         "--rpc-auth none contradicts --rpc-user, --rpc-password-file, --auth-level and --target: "
         "leave them out, or name a provider"},
        {own_password && o.rpc_user.empty() && o.user.empty(),
         "--rpc-password-file needs --rpc-user or --user"},
        {!o.user.empty() && !l.user_at_proxy(o) && !l.user_at_server(o),
         "--user has no use: nobody logs on at an RPC proxy, and --rpc-user names who calls the "
         "server; leave one out"},
        {!o.password_file.empty() && !l.user_at_proxy(o) && own_password,
         "--password-file has no use: --rpc-password-file has the password for the server, and "
         "nobody logs on at an RPC proxy; leave one out"},
    });
}

/// @param variable  of the environment, if there is no file.
std::optional<std::string> password_of(const std::string& user, const std::string& file,
                                       const char* variable, std::string& why) {
    if (!file.empty()) return password_from_file(file, why);
    if (const char* given = std::getenv(variable)) {
        if (*given != '\0') return given;
        why = "the password in " + std::string(variable) + " is empty";
        return std::nullopt;
    }
    auto password = ask_password("Password for " + user + ": ");
    if (!password)
        why = "no password given: name a file that has it, or put it into " + std::string(variable);
    return password;
}

/// Who the client is to the RPC server: the user of the proxy, unless there is one of its own.
/// @param shared  the password that was read for the proxy, if it was.
/// @return what is wrong, or nothing.
std::string apply_rpc(const credentials_options& from, const std::optional<std::string>& shared,
                      rpch::client_options& to) {
    const bool other_user = !from.rpc_user.empty();
    initiator_choice choice{from.rpc_auth, other_user ? from.rpc_user : from.user, {}};
    std::string why;
    if (!choice.user.empty()) {
        std::optional<std::string> password = shared;
        if (other_user || !from.rpc_password_file.empty())
            password = password_of(choice.user, from.rpc_password_file,
                                   other_user ? "RPCH_RPC_PASSWORD" : "RPCH_PASSWORD", why);
        else if (!shared)
            password = password_of(choice.user, from.password_file, "RPCH_PASSWORD", why);
        if (!password) return why;
        choice.password = std::move(*password);
    }
    to.rpc_security = make_initiator(choice, why);
    to.rpc_level = parse_level(from.auth_level.empty() ? "privacy" : from.auth_level).value();
    to.rpc_target = from.target;
    return why;
}

/// @param password  receives that of the user, if it was asked for.
/// @return what is wrong, or nothing.
std::string apply_http(const credentials_options& from, const std::string& scheme,
                       std::optional<std::string>& password, rpch::client_options& to) {
    if (scheme == "none") return {};
    // Negotiate without a user takes the ticket cache of Kerberos.
    if (from.user.empty() && scheme != "negotiate")
        return "HTTP authentication by " + scheme + " needs --user";
    std::string why;
    if (!from.user.empty()) {
        password = password_of(from.user, from.password_file, "RPCH_PASSWORD", why);
        if (!password) return why;
    }
    if (scheme == "ntlm" || scheme == "negotiate") {
        to.http_auth = scheme == "ntlm" ? rpch::http_authentication::ntlm
                                        : rpch::http_authentication::negotiate;
        to.http_initiator = make_initiator({scheme, from.user, password.value_or("")}, why);
        return why;
    }
    to.http_auth = rpch::http_authentication::basic;
    to.http_user = from.user;
    to.http_password = *password;
    return {};
}

/// @return what is wrong, or nothing.
std::string apply(const credentials_options& from, const logons& l, rpch::client_options& to) {
    std::optional<std::string> password;
    std::string why = apply_http(from, l.http_auth, password, to);
    if (why.empty() && l.rpc) why = apply_rpc(from, password, to);
    if (password) rpch::core::wipe(*password);
    if (!why.empty()) return why;
    if (!from.ca.empty() && !rpch::transport::trust_store::from_file(from.ca, &why))
        return "--ca: " + why;
    to.tls.ca_file = from.ca;
    to.tls.verify = !from.insecure;
    to.allow_basic_over_plain = from.allow_basic_over_plain;
    return {};
}

} // namespace

int run_call(const call_options& options) {
    const auto interface = parse_interface(options.interface);
    if (!interface) return refuse("the interface must be UUID@MAJOR.MINOR", options.json);
    std::string wrong;
    auto stub = read_stub(options.stub, wrong);
    if (!stub) return refuse(wrong, options.json);
    const auto to = rpch::dcerpc::parse_string_binding(options.binding, &wrong);
    if (!to) return refuse("BINDING '" + options.binding + "': " + wrong, options.json);
    const logons how = logons_of(*to, options.credentials);
    wrong = ignored(options, *to, how);
    if (!wrong.empty()) return refuse(wrong, options.json);
    rpch::client_options client_options;
    wrong = apply(options.credentials, how, client_options);
    if (!wrong.empty()) return refuse(wrong, options.json);

    asio::io_context io(1);
    client_options.transfer_syntaxes = {options.transfer_syntax == "ndr64"
                                            ? rpch::ndr::transfer_syntax::ndr64
                                            : rpch::ndr::transfer_syntax::ndr20};
    if (options.channel_lifetime) client_options.channel_lifetime = *options.channel_lifetime;
    client_options.replace_in_below = options.replace_in_below;
    if (options.receive_window) client_options.receive_window = *options.receive_window;
    client_options.executor = io.get_executor();
    rpch::failure outcome;
    auto started = rpch::client::start(options.binding, std::move(client_options), outcome);
    outcome.did_not_execute = true; // until there is a call
    if (!started) return report(outcome, options.json);
    std::optional<rpch::client> client(std::move(*started));
    rpch::raw_response answer;
    client->async_bind<rpch::failure>(
        *interface, [&](const rpch::failure& why, std::uint16_t context) {
            outcome = why;
            outcome.did_not_execute = true; // there was no call yet
            if (why) return client.reset();
            client->async_call_raw<rpch::failure>(
                context, options.opnum, std::move(*stub),
                [&](const rpch::failure& end, rpch::raw_response response) {
                    outcome = end;
                    answer = std::move(response);
                    client.reset();
                });
        });
    io.run();
    if (outcome) return report(outcome, options.json);
    const std::string hex = rpch::core::to_hex(answer.stub);
    if (options.json)
        std::printf("{\"ok\":true,\"stub\":\"%s\"}\n", hex.c_str());
    else
        std::printf("%s\n", hex.c_str());
    return succeeded;
}

} // namespace tool
