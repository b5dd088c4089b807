// NTLM of other programs at the HTTP layer of our proxy.
//
//     interop_http_ntlm curl     curl --ntlm asks for an echo, right and wrong
//     interop_http_ntlm impacket CLIENT
//                                impacket_client.py makes calls, right and wrong
//     interop_http_ntlm serve    prints the ports of proxy and server, and serves for a minute
//
// The user is RPCHDOM\labuser with the password labpass.
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
#include <rpch/transport/ntlm_environment.hpp>

#include <asio/buffer.hpp>
#include <asio/posix/stream_descriptor.hpp>

#include "tests/support/stack.hpp"

namespace {

constexpr int skipped = 77;

/// Samba's client logs on at both layers or at none, so the server takes NTLM as well.
test::stack_options ntlm_only() {
    const auto& environment = rpch::transport::system_ntlm_environment();
    auto accounts = std::make_shared<rpch::auth::ntlm_account_list>();
    accounts->add({"labuser", "", rpch::auth::ntowf_v1("labpass").value(), false});
    const auto acceptor = std::make_shared<rpch::auth::ntlm_acceptor>(
        environment, std::move(accounts), rpch::auth::ntlm_server_settings{});
    return {.adjust_proxy =
                [acceptor](rpch::proxy_settings& s) {
                    s.allow_anonymous = false;
                    s.http_acceptors = {acceptor};
                },
            .adjust_server = [acceptor](rpch::server_settings& s) { s.rpc_security = {acceptor}; }};
}

/// Runs a program while the stack serves. @return what it says on standard output.
std::string run(test::stack& all, const std::vector<std::string>& words, int& code) {
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) throw std::runtime_error("no pipe");
    const pid_t child = ::fork();
    if (child == 0) {
        ::dup2(ends[1], 1);
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

void ask_with_curl() {
    test::stack all(ntlm_only());
    const std::string url = "http://127.0.0.1:" + std::to_string(all.proxy_port) +
                            "/rpc/rpcproxy.dll?127.0.0.1:" + std::to_string(all.server_port);
    for (const std::string method : {"RPC_IN_DATA", "RPC_OUT_DATA"})
        for (const std::string who :
             {"RPCHDOM\\labuser:labpass", "labuser:labpass", "labuser:guess", "nobody:labpass"}) {
            const bool is_right = who.ends_with("labuser:labpass");
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
            require((said.find("HTTP/1.1 200 Success") != std::string::npos) == is_right, who);
            require(said.find("WWW-Authenticate: NTLM TlRMTVNTUAAC") != std::string::npos,
                    "no challenge");
        }
}

void call_with_impacket(const std::string& client) {
    test::stack all(ntlm_only());
    int code = 0;
    run(all, {"/usr/bin/python3", "-c", "import impacket"}, code);
    if (code != 0) std::exit(skipped);
    for (const bool is_right : {true, false}) {
        const std::string said = run(
            all,
            {"/usr/bin/python3", client, "--proxy", "127.0.0.1:" + std::to_string(all.proxy_port),
             "--target", "127.0.0.1:" + std::to_string(all.server_port), "--http-auth", "ntlm",
             "--http-user", "labuser", "--http-password", is_right ? "labpass" : "guess", "--call",
             "echo", "--bytes", "3000"},
            code);
        require((code == 0) == is_right, "impacket ended with " + std::to_string(code));
        require((said.find("ok: ") != std::string::npos) == is_right, said);
    }
}

} // namespace

int main(int count, char** words) try {
    const std::string_view what = count > 1 ? words[1] : "";
    if (what == "curl")
        ask_with_curl();
    else if (what == "impacket" && count == 3)
        call_with_impacket(words[2]);
    else if (what == "serve") {
        test::stack all(ntlm_only());
        std::printf("%u %u\n", unsigned{all.proxy_port}, unsigned{all.server_port});
        std::fflush(stdout);
        all.run_until([] { return false; });
        for (const auto& each : all.proxy_log) std::printf("%s\n", each.c_str());
    } else
        return 2;
    return 0;
} catch (const std::exception& why) {
    std::printf("%s\n", why.what());
    return 1;
}
