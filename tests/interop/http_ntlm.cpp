// NTLM of other programs at the HTTP layer of our proxy.
//
//     interop_http_ntlm curl     curl --ntlm asks for an echo, right and wrong
//     interop_http_ntlm impacket CLIENT
//                                impacket_client.py makes calls, right and wrong
//     interop_http_ntlm samba CLIENT
//                                samba_client.py does, which logs on at the RPC layer, too
//
// The user is labuser, of whatever domain, with the password labpass. So has domainuser, of RPCHDOM
// alone, and lockeduser, who may not log on.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <rpch/auth/ntlm.hpp>
#include <rpch/auth/spnego.hpp>
#include <rpch/transport/ntlm_environment.hpp>

#include <asio/buffer.hpp>
#include <asio/posix/stream_descriptor.hpp>

#include "tests/support/stack.hpp"

namespace {

constexpr int skipped = 77;

/// Samba's client logs on at both layers or at none, so the server takes what the proxy does.
test::stack_options ntlm_only(bool in_negotiate = false) {
    const auto& environment = rpch::transport::system_ntlm_environment();
    auto accounts = std::make_shared<rpch::auth::ntlm_account_list>();
    const auto hash = rpch::auth::ntowf_v1("labpass").value();
    accounts->add({"labuser", "", hash, false});
    accounts->add({"domainuser", "RPCHDOM", hash, false});
    accounts->add({"lockeduser", "", hash, true});
    std::shared_ptr<rpch::auth::security_acceptor> acceptor =
        std::make_shared<rpch::auth::ntlm_acceptor>(environment, std::move(accounts),
                                                    rpch::auth::ntlm_server_settings{});
    if (in_negotiate)
        acceptor = std::make_shared<rpch::auth::spnego_acceptor>(
            std::vector<std::shared_ptr<rpch::auth::security_acceptor>>{acceptor});
    return {.adjust_proxy =
                [acceptor](rpch::proxy_settings& s) {
                    s.allow_anonymous = false;
                    s.http_acceptors = {acceptor};
                },
            .adjust_server = [acceptor](rpch::server_settings& s) { s.rpc_security = {acceptor}; }};
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

void ask_with_curl() {
    test::stack all(ntlm_only());
    const std::string url = "http://127.0.0.1:" + std::to_string(all.proxy_port) +
                            "/rpc/rpcproxy.dll?127.0.0.1:" + std::to_string(all.server_port);
    for (const std::string method : {"RPC_IN_DATA", "RPC_OUT_DATA"})
        for (const logon& each : logons()) {
            const std::string who =
                each.domain + (each.domain.empty() ? "" : "\\") + each.user + ":" + each.password;
            all.proxy_log.clear();
            int code = 0;
            const std::string said = run(all,
                                         {"curl",
                                          "-sS",
                                          "--max-time",
                                          "10",
                                          "--ntlm",
                                          "-u",
                                          who,
                                          "-X",
                                          method,
                                          "-D",
                                          "-",
                                          "-o",
                                          "/dev/null",
                                          "-H",
                                          "Content-Type:",
                                          "-H",
                                          "User-Agent: MSRPC",
                                          "--data-binary",
                                          "0123456789abcdef",
                                          url},
                                         code);
            if (code == skipped) std::exit(skipped);
            require(code == 0, "curl ended with " + std::to_string(code));
            require((said.find("HTTP/1.1 200 Success") != std::string::npos) == each.is_right(),
                    who);
            require_refusal(all, each);
            require(said.find("WWW-Authenticate: NTLM TlRMTVNTUAAC") != std::string::npos,
                    "no challenge");
        }
}

void call_with_impacket(const std::string& client) {
    test::stack all(ntlm_only());
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
        test::stack all(ntlm_only(by.http == "negotiate"));
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

} // namespace

int main(int count, char** words) try {
    const std::string_view what = count > 1 ? words[1] : "";
    if (what == "curl")
        ask_with_curl();
    else if (what == "impacket" && count == 3)
        call_with_impacket(words[2]);
    else if (what == "samba" && count == 3)
        call_with_samba(words[2]);
    else
        return 2;
    return 0;
} catch (const std::exception& why) {
    std::printf("%s\n", why.what());
    return 1;
}
