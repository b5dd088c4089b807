// rpch: reads the command line and runs one subcommand.
#include "options.hpp"

#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

#include <rpch/limits.hpp>
#include <rpch/version.hpp>

#include <CLI/CLI.hpp>

#include "json.hpp"

namespace {

namespace limits = rpch::limits;

/// A week: long enough for every channel, short enough for every clock.
constexpr std::uint32_t drain_max_s = 7 * 24 * 3600;

/// @param bytes  an integer, or an optional one where it matters whether it was given.
template <class Bytes>
void add_lifetime(CLI::App& app, Bytes& bytes, const char* text) {
    app.add_option("--channel-lifetime", bytes, text)
        ->check(CLI::Range(limits::channel_lifetime_min, limits::channel_lifetime_max))
        ->default_str(std::to_string(limits::channel_lifetime_default));
}

template <class Bytes>
void add_window(CLI::App& app, Bytes& bytes, const char* text) {
    app.add_option("--receive-window", bytes, text)
        ->check(CLI::Range(limits::receive_window_min, limits::receive_window_max))
        ->default_str(std::to_string(limits::receive_window_max));
}

/// Schemes are written in many ways: NTLM, Negotiate.
CLI::Validator in_lower_case() {
    return {[](std::string& word) {
                word = CLI::detail::to_lower(word);
                return std::string();
            },
            ""};
}

/// @param name  of the option, by the channel that is replaced.
void add_threshold(CLI::App& app, const char* name, std::uint64_t& bytes, const char* text) {
    app.add_option(name, bytes, text)
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{limits::channel_lifetime_max}))
        ->default_str("chosen by lifetime and window");
}

void add_certificate(CLI::App& app, tool::front_options& o) {
    auto* cert = app.add_option("--cert", o.cert, "certificate chain, PEM, leaf first");
    auto* key = app.add_option("--key", o.key, "private key of the certificate, PEM");
    cert->needs(key);
    key->needs(cert);
}

void add_access(CLI::App& app, tool::front_options& o) {
    app.add_option("--auth", o.auth,
                   "HTTP authentication schemes to accept, several at once: none, basic, ntlm, "
                   "negotiate")
        ->transform(in_lower_case())
        ->delimiter(',');
    app.add_option("--users", o.users, "users file, made by `rpch passwd`; for ntlm with --ntlm");
    app.add_option("--keytab", o.keytab, "keytab of the service's Kerberos principals");
    app.add_flag(
        "--allow-plain", o.allow_plain,
        "serve plain HTTP without a certificate; passwords then cross the network readable");
}

/// What `proxy` and `serve --https` let their channels do.
void add_channels(CLI::App& app, tool::channel_options& o) {
    add_lifetime(app, o.channel_lifetime, "Content-Length of OUT channels, bytes");
    add_window(app, o.receive_window,
               "receive window of both directions, bytes a peer may send unacknowledged");
    app.add_option("--connection-timeout", o.connection_timeout_s,
                   "ConnectionTimeout told to clients, seconds")
        ->check(CLI::Range(limits::connection_timeout_min_ms / 1000,
                           limits::connection_timeout_max_ms / 1000))
        ->default_str(std::to_string(limits::connection_timeout_min_ms / 1000));
}

void add_drain(CLI::App& app, std::uint32_t& seconds) {
    app.add_option("--drain", seconds,
                   "seconds that what is open has to end after SIGTERM or SIGINT, while what is "
                   "new is refused; a second signal does not wait")
        ->check(CLI::Range(std::uint32_t{0}, drain_max_s))
        ->capture_default_str();
}

void add_serve(CLI::App& app, tool::serve_options& o) {
    app.add_option("--http", o.http, "ncacn_http endpoint behind an RPC proxy, ADDRESS:PORT");
    app.add_option("--https", o.https,
                   "RPC over HTTP clients directly, no RPC proxy in front, ADDRESS:PORT");
    add_certificate(app, o.front);
    app.add_option("--tcp", o.tcp, "ncacn_ip_tcp endpoint, ADDRESS:PORT");
    app.add_option("--epmap-http", o.epmap_http,
                   "endpoint mapper on ncacn_http (593), ADDRESS:PORT");
    app.add_option("--epmap-tcp", o.epmap_tcp,
                   "endpoint mapper on ncacn_ip_tcp (135), ADDRESS:PORT");
    add_access(app, o.front);
    app.add_option(
           "--rpc-auth", o.rpc_auth,
           "security providers of RPC itself to accept: ntlm, negotiate, kerberos; ntlm needs "
           "--users, kerberos a keytab")
        ->transform(in_lower_case())
        ->delimiter(',');
    app.add_option("--auth-level", o.auth_level,
                   "refuse calls of rpcecho below this level of protection; call stands for packet")
        ->check(CLI::IsMember({"none", "connect", "call", "packet", "integrity", "privacy"}))
        ->capture_default_str();
    add_channels(app, o.channels);
    add_drain(app, o.drain_s);
    add_threshold(app, "--replace-out-below", o.replace_out_below,
                  "have an OUT channel replaced when fewer bytes of its lifetime are left");
    app.footer(
        "Examples:\n  rpch serve --http 127.0.0.1:6001 --tcp 127.0.0.1:6002\n"
        "  rpch serve --https 0.0.0.0:443 --cert chain.pem --key key.pem --auth basic \\\n"
        "      --users users\n"
        "  rpch serve --tcp 127.0.0.1:6002 --rpc-auth ntlm --users users --auth-level privacy\n"
        "Port 0 lets the system choose; each listener prints `listening on ADDRESS:PORT`.\n"
        "ADDRESS is an IP address: 0.0.0.0 and [::] stand for all. --cert, --key, --auth,\n"
        "--allow-plain, --channel-lifetime, --receive-window and --connection-timeout are for\n"
        "--https. SIGHUP reads users file, certificate and key again.");
}

void add_proxy(CLI::App& app, tool::proxy_options& o) {
    app.add_option("--listen", o.listen, "ADDRESS:PORT of the HTTP(S) listener")->required();
    add_certificate(app, o.front);
    app.add_option(
           "--valid-ports", o.valid_ports,
           "ValidPorts: targets to allow, 'host:6001-6004;host2:593'; all others are refused")
        ->required();
    add_access(app, o.front);
    add_channels(app, o.channels);
    add_drain(app, o.drain_s);
    app.add_option("--tcp-backend", o.tcp_backends,
                   "HOST:PORT=HOST:PORT, may be repeated: requests for the left side, which "
                   "--valid-ports must name as well, go to a server on plain ncacn_ip_tcp at the "
                   "right side; IN and OUT channel must reach the same rpch process")
        ->allow_extra_args(false);
    add_threshold(
        app, "--replace-out-below", o.replace_out_below,
        "have an OUT channel in front of a --tcp-backend replaced when fewer bytes of its "
        "lifetime are left");
    app.footer(
        "Examples:\n  rpch proxy --listen 0.0.0.0:443 --cert chain.pem --key key.pem \\\n"
        "      --valid-ports 'files:6001-6004' --auth basic --users users\n"
        "  rpch proxy --listen 0.0.0.0:443 --cert chain.pem --key key.pem \\\n"
        "      --valid-ports 'dc1:135;dc1:49152' --auth basic --users users \\\n"
        "      --tcp-backend dc1:135=10.0.0.5:135 --tcp-backend dc1:49152=10.0.0.5:49152\n"
        "ADDRESS is an IP address: 0.0.0.0 and [::] stand for all. Port 0 lets the system\n"
        "choose; `listening on ADDRESS:PORT` is printed. SIGHUP reads users file, certificate\n"
        "and key again; connections that are open go on.");
}

void add_passwd(CLI::App& app, tool::passwd_options& o) {
    app.add_option("FILE", o.file, "users file; made if it does not exist")->required();
    app.add_option("USER", o.user, "user to add or to give a new password")->required();
    app.add_flag("--ntlm", o.ntlm,
                 "also write the NT hash, for servers with NTLM; who reads it needs no password");
    app.footer("Example:\n  rpch passwd users alice\n"
               "Asks for the password; reads one line where standard input is no terminal.");
}

void add_credentials(CLI::App& app, tool::credentials_options& o) {
    auto* user = app.add_option("--user", o.user,
                                "user name for the RPC proxy and, with --rpc-auth, the server");
    app.add_option("--password-file", o.password_file,
                   "file whose first line is the password; else RPCH_PASSWORD, else a prompt")
        ->needs(user);
    app.add_option("--auth", o.auth,
                   "HTTP authentication at the RPC proxy: none, basic, ntlm or negotiate; without "
                   "it the binding's HttpAuthOption, or basic when a user is given")
        ->transform(CLI::IsMember({"none", "basic", "ntlm", "negotiate"}, CLI::ignore_case));
    auto* ca = app.add_option(
        "--ca", o.ca, "authorities of the RPC proxy to trust, PEM, instead of the system's");
    app.add_flag("--insecure", o.insecure, "accept any certificate of the RPC proxy")->excludes(ca);
    app.add_flag("--allow-basic-over-plain", o.allow_basic_over_plain,
                 "send the password of Basic even without TLS");
    auto* rpc_auth =
        app.add_option(
               "--rpc-auth", o.rpc_auth,
               "security provider of RPC itself: ntlm, negotiate or kerberos; without a user "
               "Kerberos takes the ticket cache")
            ->transform(CLI::IsMember({"none", "ntlm", "negotiate", "kerberos"}, CLI::ignore_case));
    app.add_option("--rpc-user", o.rpc_user, "user name for the RPC server, if it is another one")
        ->needs(rpc_auth);
    app.add_option("--rpc-password-file", o.rpc_password_file,
                   "file with that user's password; else RPCH_RPC_PASSWORD, else a prompt")
        ->needs(rpc_auth);
    app.add_option("--auth-level", o.auth_level,
                   "how calls are protected with --rpc-auth; call stands for packet")
        ->needs(rpc_auth)
        ->check(CLI::IsMember({"connect", "call", "packet", "integrity", "privacy"}))
        ->default_str("privacy");
    app.add_option("--target", o.target,
                   "principal name of the RPC server, service/host; host/SERVER without it")
        ->needs(rpc_auth);
}

void add_call(CLI::App& app, tool::call_options& o) {
    app.add_option("BINDING", o.binding,
                   "string binding, e.g. 'ncacn_http:srv[6001,RpcProxy=gate:443]'")
        ->required();
    app.add_option("INTERFACE", o.interface, "UUID@MAJOR.MINOR")->required();
    app.add_option("OPNUM", o.opnum, "operation number")->required();
    app.add_option("--stub", o.stub, "stub data of the request: HEX, or @FILE for raw bytes");
    app.add_option("--transfer-syntax", o.transfer_syntax, "what the stub data are encoded in")
        ->check(CLI::IsMember({"ndr", "ndr64"}))
        ->capture_default_str();
    add_credentials(app, o.credentials);
    add_lifetime(app, o.channel_lifetime, "Content-Length of the IN channel, bytes");
    add_window(app, o.receive_window, "receive window of the OUT channel, bytes");
    add_threshold(app, "--replace-in-below", o.replace_in_below,
                  "replace the IN channel when fewer bytes of its lifetime are left");
    app.add_flag("--json", o.json, "answer for a machine: one JSON object, failures as well");
    app.footer("Example:\n  rpch call 'ncacn_ip_tcp:127.0.0.1[6002]' "
               "60a15ec5-4de8-11d7-a637-005056a20182@1.0 0 --stub 29000000\n"
               "Prints the stub data of the response in hexadecimal. With --json, one object:\n"
               "{\"ok\":true,\"stub\":HEX}, or ok false and message, said_by, category, code,\n"
               "did_not_execute and, where there is something to say, where, detail, next_step.\n"
               "The exit code is 0 for success, 1 if the call failed, 2 for wrong usage.");
}

/// An option without a value would be taken for one that was not given.
/// @throws CLI::ValidationError
void refuse_empty_values(const CLI::App& app) {
    for (const CLI::Option* each : app.get_options()) {
        if (each->get_name() == "--stub") continue; // a call without parameters
        for (const std::string& value : each->results())
            if (value.empty()) throw CLI::ValidationError(each->get_name(), "the value is empty");
    }
}

/// @return whether a machine reads the answer, however wrong the rest of the command line is.
bool wants_json(int count, char** arguments) {
    for (int i = 1; i < count && std::string_view(arguments[i]) != "--"; ++i)
        if (std::string_view(arguments[i]) == "--json") return true;
    return false;
}

/// An answer that did not get out, to a full disk say, is no success.
int answered(int code) {
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
    std::perror("rpch: cannot write the answer");
    return code == tool::succeeded ? tool::failed : code;
}

/// The library says of a word that is no subcommand only that one is missing.
/// @return what is wrong with the first word; or nothing.
std::string unknown_subcommand(const CLI::App& app, int count, char** arguments) {
    if (count < 2 || arguments[1][0] == '-') return {};
    std::string all;
    for (const CLI::App* each : app.get_subcommands({})) {
        if (each->get_name() == arguments[1]) return {};
        all += (all.empty() ? "" : ", ") + each->get_name();
    }
    return "there is no subcommand '" + std::string(arguments[1]) + "'; there are " + all;
}

/// Begins like every other message of the program.
std::string say_what_is_wrong(const CLI::App* app, const CLI::Error& e) {
    std::string who = app->get_name();
    for (const CLI::App* used : app->get_subcommands()) who += " " + used->get_name();
    return who + ": " + e.what() + "\n`" + who + " --help` has every option\n";
}

int run(int count, char** arguments) {
    CLI::App app{"DCE/RPC over HTTP: server, RPC proxy and client"};
    app.name("rpch");
    app.require_subcommand(1);
    app.set_version_flag("--version", RPCH_VERSION_STRING);
    app.failure_message(say_what_is_wrong);
    app.footer(
        "`rpch COMMAND --help` has every option. The exit code is 0 for success, 1 if what was\n"
        "asked for failed, 2 for wrong usage.");

    tool::serve_options serve;
    tool::proxy_options proxy;
    tool::passwd_options passwd;
    tool::call_options call;
    CLI::App* demo_app = app.add_subcommand("demo", "one call through HTTPS, a proxy and a server");
    demo_app->footer("Example:\n  rpch demo");
    CLI::App* serve_app =
        app.add_subcommand("serve", "sample server: rpcecho, mgmt, endpoint mapper");
    add_serve(*serve_app, serve);
    CLI::App* proxy_app = app.add_subcommand("proxy", "RPC proxy, inbound and outbound");
    add_proxy(*proxy_app, proxy);
    CLI::App* passwd_app = app.add_subcommand("passwd", "add or change a user of a users file");
    add_passwd(*passwd_app, passwd);
    CLI::App* call_app = app.add_subcommand("call", "one raw call");
    add_call(*call_app, call);

    if (const std::string wrong = unknown_subcommand(app, count, arguments); !wrong.empty()) {
        std::fprintf(stderr, "rpch: %s\n", wrong.c_str());
        if (wants_json(count, arguments))
            tool::print_json_of_usage(wrong, "`rpch --help` has every command");
        return tool::usage;
    }
    try {
        app.parse(count, arguments);
        for (const CLI::App* used : app.get_subcommands()) refuse_empty_values(*used);
    } catch (const CLI::ParseError& e) {
        if (app.exit(e) == 0) return tool::succeeded; // --help, --version
        if (wants_json(count, arguments))
            tool::print_json_of_usage(e.what(), "`rpch call --help` has every option");
        return tool::usage;
    }
    if (demo_app->parsed()) return tool::run_demo();
    if (serve_app->parsed()) return tool::run_serve(serve);
    if (proxy_app->parsed()) return tool::run_proxy(proxy);
    if (passwd_app->parsed()) return tool::run_passwd(passwd);
    return answered(tool::run_call(call));
}

} // namespace

int main(int count, char** arguments) {
    try {
        return run(count, arguments);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "rpch: %s\n", e.what());
        if (wants_json(count, arguments)) tool::print_json_of_exception(e);
        return tool::failed;
    }
}
