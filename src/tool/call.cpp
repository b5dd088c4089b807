// rpch call: one raw call.
#include "options.hpp"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <rpch/client/client.hpp>
#include <rpch/core/secret.hpp>
#include <rpch/core/uuid.hpp>

#include <asio/io_context.hpp>

#include "passwords.hpp"
#include "rpc_security.hpp"

namespace tool {

namespace {

int refuse(const std::string& why) {
    std::fprintf(stderr, "rpch call: %s\n", why.c_str());
    return usage;
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

std::optional<std::vector<std::byte>> read_stub(const std::string& text) {
    std::vector<std::byte> out;
    if (!text.empty() && text[0] == '@') {
        std::ifstream file(text.substr(1), std::ios::binary);
        if (!file) return std::nullopt;
        for (std::istreambuf_iterator<char> at(file), end; at != end; ++at)
            out.push_back(static_cast<std::byte>(*at));
        return out;
    }
    if (text.size() % 2 != 0) return std::nullopt;
    for (std::size_t i = 0; i < text.size(); i += 2) {
        const int high = rpch::core::hex_digit(text[i]);
        const int low = rpch::core::hex_digit(text[i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        out.push_back(static_cast<std::byte>(high * 16 + low));
    }
    return out;
}

/// @param variable  of the environment, if there is no file.
std::optional<std::string> password_of(const std::string& user, const std::string& file,
                                       const char* variable, std::string& why) {
    if (!file.empty()) {
        auto password = password_from_file(file);
        if (!password) why = "cannot read the password file " + file;
        return password;
    }
    if (const char* given = std::getenv(variable)) return given;
    auto password = ask_password("Password for " + user + ": ");
    if (!password) why = "no password given";
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
    to.rpc_level = parse_level(from.auth_level).value();
    to.rpc_target = from.target;
    return why;
}

/// @param password  receives that of the user, if it was asked for.
/// @return what is wrong, or nothing.
std::string apply_http(const credentials_options& from, bool with_rpc,
                       std::optional<std::string>& password, rpch::client_options& to) {
    if (from.auth == "none" && !from.user.empty() && !with_rpc)
        return "--auth none and --user contradict each other";
    if (from.auth == "none" || (from.auth.empty() && from.user.empty())) return {};
    // Negotiate without a user takes the ticket cache of Kerberos.
    if (from.user.empty() && from.auth != "negotiate")
        return "--auth " + from.auth + " needs --user";
    std::string why;
    if (!from.user.empty()) {
        password = password_of(from.user, from.password_file, "RPCH_PASSWORD", why);
        if (!password) return why;
    }
    if (from.auth == "ntlm" || from.auth == "negotiate") {
        to.http_auth = from.auth == "ntlm" ? rpch::http_authentication::ntlm
                                           : rpch::http_authentication::negotiate;
        to.http_initiator = make_initiator({from.auth, from.user, password.value_or("")}, why);
        return why;
    }
    to.http_auth = rpch::http_authentication::basic;
    to.http_user = from.user;
    to.http_password = *password;
    return {};
}

/// @return what is wrong, or nothing.
std::string apply(const credentials_options& from, rpch::client_options& to) {
    const bool with_rpc = !from.rpc_auth.empty() && from.rpc_auth != "none";
    std::optional<std::string> password;
    std::string why = apply_http(from, with_rpc, password, to);
    if (why.empty() && with_rpc) why = apply_rpc(from, password, to);
    if (password) rpch::core::wipe(*password);
    if (!why.empty()) return why;
    to.tls.ca_file = from.ca;
    to.tls.verify = !from.insecure;
    to.allow_basic_over_plain = from.allow_basic_over_plain;
    return {};
}

int report(const rpch::failure& why, bool json) {
    if (json)
        std::printf("{\"ok\":false,\"code\":%d,\"category\":\"%s\"}\n", why.code.value(),
                    why.code.category().name());
    std::fprintf(stderr, "rpch call: %s\n", why.to_string().c_str());
    return failed;
}

} // namespace

int run_call(const call_options& options) {
    const auto interface = parse_interface(options.interface);
    if (!interface) return refuse("the interface must be UUID@MAJOR.MINOR");
    auto stub = read_stub(options.stub);
    if (!stub) return refuse("--stub wants hexadecimal digits or @FILE");
    rpch::client_options client_options;
    const std::string wrong = apply(options.credentials, client_options);
    if (!wrong.empty()) return refuse(wrong);

    asio::io_context io(1);
    client_options.transfer_syntaxes = {options.transfer_syntax == "ndr64"
                                            ? rpch::ndr::transfer_syntax::ndr64
                                            : rpch::ndr::transfer_syntax::ndr20};
    client_options.channel_lifetime = options.channel_lifetime;
    client_options.receive_window = options.receive_window;
    client_options.executor = io.get_executor();
    rpch::failure outcome;
    auto started = rpch::client::start(options.binding, std::move(client_options), outcome);
    if (!started) {
        std::fprintf(stderr, "rpch call: %s\n", outcome.to_string().c_str());
        return outcome.code == rpch::error_kind::misuse ? usage : failed;
    }
    std::optional<rpch::client> client(std::move(*started));
    rpch::raw_response answer;
    client->async_bind<rpch::failure>(
        *interface, [&](const rpch::failure& why, std::uint16_t context) {
            outcome = why;
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
