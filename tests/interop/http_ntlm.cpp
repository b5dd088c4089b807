// NTLM of other programs at the HTTP layer of our proxy.
//
//     interop_http_ntlm curl     curl --ntlm asks for an echo, right and wrong
//     interop_http_ntlm impacket CLIENT
//                                impacket_client.py makes calls, right and wrong
//     interop_http_ntlm samba CLIENT
//                                samba_client.py does, which logs on at the RPC layer, too
//     interop_http_ntlm channel_binding FOLDER
//                                TLS, and a proxy that demands channel bindings, RFC 5929: curl and
//                                the clients in FOLDER send none, ours does
//     interop_http_ntlm channel_binding_kerberos
//                                the same with a ticket, in a realm of kerberos_realm.py
//
// The user is labuser, of whatever domain, with the password labpass. So has domainuser, of RPCHDOM
// alone, and lockeduser, who may not log on.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <rpch/auth/ntlm.hpp>
#include <rpch/auth/spnego.hpp>
#include <rpch/transport/kerberos.hpp>
#include <rpch/transport/ntlm_environment.hpp>

#include <asio/buffer.hpp>
#include <asio/posix/stream_descriptor.hpp>

#include "tests/support/certificates.hpp"
#include "tests/support/stack.hpp"

namespace {

constexpr int skipped = 77;

/// What the proxy offers and demands.
struct schemes {
    bool ntlm = true;
    bool negotiate = false; ///< With NTLM inside, and with Kerberos where there is a keytab.
    bool tls = false;
    bool channel_binding = false; ///< Demanded of NTLM.
};

/// Samba's client logs on at both layers or at none, so the server takes what the proxy does.
test::stack_options stack_with(const schemes& wanted = {}) {
    const auto& environment = rpch::transport::system_ntlm_environment();
    auto accounts = std::make_shared<rpch::auth::ntlm_account_list>();
    const auto hash = rpch::auth::ntowf_v1("labpass").value();
    accounts->add({"labuser", "", hash, false});
    accounts->add({"domainuser", "RPCHDOM", hash, false});
    accounts->add({"lockeduser", "", hash, true});
    const auto ntlm = std::make_shared<rpch::auth::ntlm_acceptor>(
        environment, std::move(accounts),
        rpch::auth::ntlm_server_settings{.require_channel_binding = wanted.channel_binding});
    std::vector<std::shared_ptr<rpch::auth::security_acceptor>> inside{ntlm}, offered;
    const char* const keytab = std::getenv("RPCH_KEYTAB");
    if (keytab != nullptr) {
        rpch::transport::kerberos_server_settings k;
        k.keytab = keytab;
        inside.insert(inside.begin(), std::make_shared<rpch::transport::kerberos_acceptor>(k));
    }
    if (wanted.ntlm) offered.push_back(ntlm);
    if (wanted.negotiate) offered.push_back(std::make_shared<rpch::auth::spnego_acceptor>(inside));
    return {.tls = wanted.tls,
            .adjust_proxy =
                [offered](rpch::proxy_settings& s) {
                    s.allow_anonymous = false;
                    s.http_acceptors = offered;
                },
            .adjust_server = [offered](rpch::server_settings& s) { s.rpc_security = offered; }};
}

/// Runs a program while the stack serves. @return what it says, errors too.
std::string run(test::stack& all, const std::vector<std::string>& words, int& code) {
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) throw std::runtime_error("no pipe");
    const pid_t child = ::fork();
    if (child == 0) {
        ::dup2(ends[1], 1);
        ::dup2(ends[1], 2);
        ::close(ends[0]);
        ::close(ends[1]);
        std::vector<char*> arguments;
        for (const auto& each : words) arguments.push_back(const_cast<char*>(each.c_str()));
        arguments.push_back(nullptr);
        ::execvp(arguments[0], arguments.data());
        ::_exit(skipped);
    }
    ::close(ends[1]);
    asio::posix::stream_descriptor from(all.io, ends[0]);
    std::string said;
    std::array<char, 4096> space{};
    bool over = false;
    std::function<void()> read = [&] {
        from.async_read_some(asio::buffer(space), [&](std::error_code ec, std::size_t n) {
            said.append(space.data(), n);
            over = bool(ec);
            if (!over) read();
        });
    };
    read();
    all.run_until([&] { return over; });
    int status = 0;
    ::waitpid(child, &status, 0);
    code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    std::printf("%s\n", said.c_str());
    return said;
}

void require(bool holds, const std::string& what) {
    if (!holds) throw std::runtime_error(what);
}

/// Who logs on with which password, and what the log of the proxy says of a refusal; the client is
/// told the same in any case.
struct logon {
    std::string domain, user, password, refusal;
    [[nodiscard]] bool is_right() const { return refusal.empty(); }
};

const std::vector<logon>& logons() {
    const std::string unknown = "name or password is malformed or wrong (unknown user or wrong";
    static const std::vector<logon> all{{"RPCHDOM", "labuser", "labpass", ""},
                                        {"", "labuser", "labpass", ""},
                                        {"", "labuser", "guess", unknown},
                                        {"", "nobody", "labpass", unknown},
                                        {"RPCHDOM", "domainuser", "labpass", ""},
                                        {"rpchdom", "domainuser", "labpass", ""},
                                        {"OTHERDOM", "domainuser", "labpass", unknown},
                                        {"", "domainuser", "labpass", unknown},
                                        {"", "lockeduser", "labpass", "the account is locked"},
                                        {"", "lockeduser", "guess", unknown}};
    return all;
}

void require_refusal(test::stack& all, const logon& who) {
    if (who.is_right()) return;
    if (all.proxy_said("logon failed: " + who.refusal, ", " + who.user + ")")) return;
    for (const auto& each : all.proxy_log) std::printf("proxy: %s\n", each.c_str());
    throw std::runtime_error("the log does not say: " + who.refusal);
}

/// An echo request. @return what curl says.
std::string curl(test::stack& all, std::vector<std::string> words, const std::string& scheme,
                 const std::string& who, const std::string& method, const std::string& ca = {}) {
    const std::string url = (ca.empty() ? "http" : "https") + std::string("://localhost:") +
                            std::to_string(all.proxy_port) +
                            "/rpc/rpcproxy.dll?127.0.0.1:" + std::to_string(all.server_port);
    words.insert(words.end(), {"curl", "-sS", "--max-time", "10", "--" + scheme, "-u", who, "-X",
                               method, "-D", "-", "-o", "/dev/null", "-H", "Content-Type:", "-H",
                               "User-Agent: MSRPC", "--data-binary", "0123456789abcdef"});
    if (!ca.empty()) words.insert(words.end(), {"--cacert", ca});
    words.push_back(url);
    int code = 0;
    std::string said = run(all, words, code);
    if (code == skipped || code == 127) std::exit(skipped); // of execvp and of env
    require(code == 0, "curl ended with " + std::to_string(code));
    return said;
}

bool is_let_in(const std::string& said) {
    return said.find("HTTP/1.1 200 Success") != std::string::npos;
}

void ask_with_curl() {
    test::stack all(stack_with());
    for (const std::string method : {"RPC_IN_DATA", "RPC_OUT_DATA"})
        for (const logon& each : logons()) {
            const std::string who =
                each.domain + (each.domain.empty() ? "" : "\\") + each.user + ":" + each.password;
            all.proxy_log.clear();
            const std::string said = curl(all, {}, "ntlm", who, method);
            require(is_let_in(said) == each.is_right(), who);
            require_refusal(all, each);
            require(said.find("WWW-Authenticate: NTLM TlRMTVNTUAAC") != std::string::npos,
                    "no challenge");
        }
}

void call_with_impacket(const std::string& client) {
    test::stack all(stack_with());
    int code = 0;
    run(all, {"/usr/bin/python3", "-c", "import impacket"}, code);
    if (code != 0) std::exit(skipped);
    for (const logon& each : logons()) {
        all.proxy_log.clear();
        const std::string said = run(
            all,
            {"/usr/bin/python3", client, "--proxy", "127.0.0.1:" + std::to_string(all.proxy_port),
             "--target", "127.0.0.1:" + std::to_string(all.server_port), "--http-auth", "ntlm",
             "--http-domain", each.domain, "--http-user", each.user, "--http-password",
             each.password, "--call", "echo", "--bytes", "3000"},
            code);
        require((code == 0) == each.is_right(), "impacket ended with " + std::to_string(code));
        require((said.find("ok: ") != std::string::npos) == each.is_right(), said);
        require_refusal(all, each);
    }
}

/// It has one set of credentials: whom the proxy let in by mistake the server would refuse, in the
/// same words. So the log of the proxy tells, and the server must not have heard of them.
void call_with_samba(const std::string& client) {
    struct ways {
        std::string http, rpc, told;
    };
    // The last token of NTLM goes with the channel's request, that of SPNEGO in one of its own.
    for (const ways& by : {ways{"ntlm", "ntlm", "{Access Denied}"},
                           ways{"negotiate", "spnego", "The attempted logon is invalid"}}) {
        test::stack all(
            stack_with({.ntlm = by.http == "ntlm", .negotiate = by.http == "negotiate"}));
        int code = 0;
        run(all, {"/usr/bin/python3", "-c", "import samba.dcerpc.echo"}, code);
        if (code != 0) std::exit(skipped);
        for (const logon& each : logons()) {
            all.proxy_log.clear();
            all.server_log.clear();
            const std::string said =
                run(all, {"/usr/bin/python3", client,
                          "--proxy",          "127.0.0.1:" + std::to_string(all.proxy_port),
                          "--target",         "127.0.0.1:" + std::to_string(all.server_port),
                          "--http-auth",      by.http,
                          "--rpc-auth",       by.rpc,
                          "--rpc-domain",     each.domain,
                          "--rpc-user",       each.user,
                          "--rpc-password",   each.password,
                          "--call",           "echo",
                          "--bytes",          "3000"},
                    code);
            require((code == 0) == each.is_right(), "Samba ended with " + std::to_string(code));
            require(said.find(each.is_right() ? "ok: " : by.told) != std::string::npos, said);
            require_refusal(all, each);
            require(all.server_log.empty() != each.is_right(), "who reached the server?");
        }
    }
}

/// The certificate of the authority, in a file for the time of the object; and whom gss-ntlmssp
/// knows.
class files {
  public:
    files() {
        if (::mkdtemp(folder_.data()) == nullptr) throw std::runtime_error("no temporary folder");
        std::ofstream(ca()) << test::authority().certificate_pem();
        std::ofstream(users()) << "LAB:labuser:labpass\n";
    }
    ~files() { std::filesystem::remove_all(folder_); }
    files(const files&) = delete;
    files& operator=(const files&) = delete;

    [[nodiscard]] std::string ca() const { return folder_ + "/ca.pem"; }
    [[nodiscard]] std::string users() const { return folder_ + "/users"; }

  private:
    std::string folder_ = (std::filesystem::temp_directory_path() / "rpch-interop-XXXXXX").string();
};

/// Our client at the proxy. @return whether it was let in.
bool our_client(test::stack& all, std::shared_ptr<rpch::auth::security_initiator> who,
                rpch::http_authentication scheme) {
    auto options = all.options();
    options.http_auth = scheme;
    options.http_initiator = std::move(who);
    test::caller caller(all,
                        "ncacn_http:127.0.0.1[" + std::to_string(all.server_port) +
                            ",RpcProxy=localhost:" + std::to_string(all.proxy_port) + "]",
                        options);
    const bool is_in = caller.open();
    std::printf("ours: %s\n", caller.why().to_string().c_str());
    return is_in;
}

/// Where it is not demanded, everybody is let in: nothing else is wrong with them.
void demand_channel_bindings(const std::string& folder) {
    const files at;
    for (const bool demanded : {false, true}) {
        test::stack all(stack_with({.negotiate = true, .tls = true, .channel_binding = demanded}));
        const auto check = [&](const std::string& who, bool is_in) {
            require(is_in != demanded, who + (is_in ? ": let in" : ": refused"));
            require(is_in || all.proxy_said("logon failed: ", "no channel binding"),
                    who + ": the log does not say why");
            all.proxy_log.clear();
        };
        for (const std::string method : {"RPC_IN_DATA", "RPC_OUT_DATA"})
            check("curl --ntlm",
                  is_let_in(curl(all, {}, "ntlm", "labuser:labpass", method, at.ca())));
        if (std::filesystem::exists("/etc/gss/mech.d/mech.ntlmssp.conf"))
            check("curl --negotiate with gss-ntlmssp",
                  is_let_in(curl(all,
                                 {"env", "KRB5_CONFIG=/dev/null", "KRB5CCNAME=FILE:/nowhere",
                                  "NTLM_USER_FILE=" + at.users()},
                                 "negotiate", "LAB\\labuser:labpass", "RPC_OUT_DATA", at.ca())));
        const std::string proxy = "127.0.0.1:" + std::to_string(all.proxy_port);
        const std::string server = "127.0.0.1:" + std::to_string(all.server_port);
        int code = 0;
        if (run(all, {"/usr/bin/python3", "-c", "import impacket"}, code); code == 0)
            check("impacket", run(all,
                                  {"/usr/bin/python3", folder + "/impacket_client.py", "--proxy",
                                   proxy, "--target", server, "--tls", "--http-auth", "ntlm"},
                                  code)
                                      .find("ok: ") != std::string::npos);
        if (run(all, {"/usr/bin/python3", "-c", "import samba.dcerpc.echo"}, code); code == 0)
            check("Samba",
                  run(all,
                      {"/usr/bin/python3", folder + "/samba_client.py", "--proxy", proxy,
                       "--target", server, "--tls", "--ca", at.ca(), "--http-auth", "ntlm",
                       "--rpc-auth", "ntlm", "--rpc-user", "labuser", "--rpc-password", "labpass"},
                      code)
                          .find("ok: ") != std::string::npos);
        const auto ours = std::make_shared<rpch::auth::ntlm_initiator>(
            rpch::transport::system_ntlm_environment(),
            rpch::auth::ntlm_credentials{.user = "labuser",
                                         .password = rpch::core::secret("labpass")});
        require(our_client(all, ours, rpch::http_authentication::ntlm), "our client");
    }
}

/// Bindings that a ticket comes with are compared, but MIT's library lets in who has none; so it
/// is for the ticket alone that curl is let in where NTLM is not enough.
void demand_channel_bindings_with_a_ticket() {
    if (std::getenv("RPCH_KEYTAB") == nullptr) std::exit(skipped);
    const files at;
    test::stack all(stack_with({.negotiate = true, .tls = true, .channel_binding = true}));
    for (const std::string method : {"RPC_IN_DATA", "RPC_OUT_DATA"}) {
        require(is_let_in(curl(all, {}, "negotiate", ":", method, at.ca())), "curl with a ticket");
        require(!all.proxy_said("logon failed"), "the log tells of a refusal");
        require(!is_let_in(curl(all, {}, "ntlm", "labuser:labpass", method, at.ca())),
                "curl --ntlm: let in");
        require(all.proxy_said("logon failed: ", "no channel binding"), "the log does not say why");
        all.proxy_log.clear();
    }
    const auto ours = std::make_shared<rpch::auth::spnego_initiator>(
        std::vector<std::shared_ptr<rpch::auth::security_initiator>>{
            std::make_shared<rpch::transport::kerberos_initiator>()});
    require(our_client(all, ours, rpch::http_authentication::negotiate), "our client");
    require(all.proxy_said("IN channel of 127.0.0.1 (RPCH.TEST\\alice)"), "not as alice");
}

} // namespace

int main(int count, char** words) try {
    const std::string_view what = count > 1 ? words[1] : "";
    if (what == "curl")
        ask_with_curl();
    else if (what == "impacket" && count == 3)
        call_with_impacket(words[2]);
    else if (what == "samba" && count == 3)
        call_with_samba(words[2]);
    else if (what == "channel_binding" && count == 3)
        demand_channel_bindings(words[2]);
    else if (what == "channel_binding_kerberos")
        demand_channel_bindings_with_a_ticket();
    else
        return 2;
    return 0;
} catch (const std::exception& why) {
    std::printf("%s\n", why.what());
    return 1;
}
