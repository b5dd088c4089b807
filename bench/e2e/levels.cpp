// Calls at each level of RPC security, over plain TCP and through the tunnel, beside Samba's own
// client and server.

#include "bench/e2e/caller.hpp"
#include "bench/e2e/endpoints.hpp"
#include "bench/support/peer_row.hpp"
#include "bench/support/placed.hpp"
#include "bench/support/rounds.hpp"

#include <rpch/auth/ntlm.hpp>
#include <rpch/server/server.hpp>
#include <rpch/transport/ntlm_environment.hpp>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace {

using rpch::auth::authentication_level;

// is_server_listening of mgmt, [C706] appendix Q: the one operation that Debian's Samba serves to
// anybody and that touches no database. Our server answers it as Samba does, whatever the request
// holds.
constexpr rpch::interface_id mgmt_id{"afa8bd80-7d8a-11c9-bef4-08002b102989", 1, 0};
constexpr std::uint16_t is_server_listening = 2;
const std::vector<std::byte> listening{std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0},
                                       std::byte{1}, std::byte{0}, std::byte{0}, std::byte{0}};

constexpr const char* user = "Administrator";
constexpr const char* password = "Passw0rd.lab"; // of Samba's domain, ../peers/samba_peer.py
constexpr std::size_t large = 64 * 1024;

struct named_level {
    const char* name;
    authentication_level level;
};
constexpr named_level levels[] = {{"none", authentication_level::none},
                                  {"connect", authentication_level::connect},
                                  {"packet", authentication_level::packet},
                                  {"integrity", authentication_level::integrity},
                                  {"privacy", authentication_level::privacy}};

bench::started start_server(asio::io_context& io) {
    auto accounts = std::make_shared<rpch::auth::ntlm_account_list>();
    accounts->add({user, "", rpch::auth::ntowf_v1(password).value()});
    rpch::server_settings settings;
    settings.rpc_security = {std::make_shared<rpch::auth::ntlm_acceptor>(
        rpch::transport::system_ntlm_environment(), accounts, rpch::auth::ntlm_server_settings{})};
    auto server = std::make_shared<rpch::server>(io.get_executor(), std::move(settings));
    server->handle_raw(mgmt_id, is_server_listening,
                       [](rpch::call_context&, std::vector<std::byte>, rpch::core::byte_order,
                          rpch::responder answer) { answer.respond(listening); });
    const auto tcp = server->listen("ncacn_ip_tcp:127.0.0.1");
    const auto http = server->listen("ncacn_http:127.0.0.1");
    return {{tcp.value(), http.value()}, server};
}

rpch::client_options options_at(authentication_level level) {
    rpch::client_options out;
    if (level == authentication_level::none) return out;
    rpch::auth::ntlm_credentials who;
    who.user = user;
    who.password = rpch::core::secret(password);
    out.rpc_security = std::make_shared<rpch::auth::ntlm_initiator>(
        rpch::transport::system_ntlm_environment(), std::move(who));
    out.rpc_level = level;
    return out;
}

/// Samba's server, and one caller for each row.
class samba {
  public:
    explicit samba(std::string script)
        : script_(std::move(script)), server_({"/usr/bin/python3", script_, "serve"}) {
        const std::string said = server_.line();
        char where[64] = {};
        long process = 0;
        if (std::sscanf(said.c_str(), "listening on %63s process %ld", where, &process) != 2)
            throw std::runtime_error(script_ + " serve said: " + said);
        at_ = where;
        process_ = static_cast<pid_t>(process);
    }

    [[nodiscard]] pid_t process() const noexcept { return process_; }
    [[nodiscard]] std::string binding() const {
        const std::size_t colon = at_.rfind(':');
        return "ncacn_ip_tcp:" + at_.substr(0, colon) + "[" + at_.substr(colon + 1) + "]";
    }

    bench::row as_row(std::string name, const char* level, std::size_t bytes) {
        callers_.push_back(std::make_unique<bench::child>(std::vector<std::string>{
            "/usr/bin/python3", script_, "call", at_, level, std::to_string(bytes)}));
        return {.name = std::move(name),
                .run = bench::windows_of(*callers_.back()),
                .processes = {process_, callers_.back()->process()},
                .own_cpu = false,
                .bytes_per_call = bytes};
    }

  private:
    std::string script_;
    bench::child server_;
    std::string at_;
    pid_t process_ = 0;
    std::vector<std::unique_ptr<bench::child>> callers_;
};

int run(std::vector<std::string> words) {
    using bench::metric;
    const auto options = bench::read_options(words);
    const auto samba_word = std::find(words.begin(), words.end(), "--samba");
    const auto where = bench::placement::processes;

    bench::placed server{where, start_server};
    const auto authority = rpch::transport::test_authority::make().value();
    rpch::transport::certificate_request request;
    request.ip_addresses = {"127.0.0.1"};
    const auto leaf = authority.issue(request).value();
    bench::placed proxy{where, [&](asio::io_context& io) { return bench::start_proxy(io, leaf); }};
    std::optional<samba> peer;
    if (samba_word != words.end() && samba_word + 1 != words.end()) peer.emplace(*(samba_word + 1));

    std::vector<std::unique_ptr<bench::caller>> callers;
    std::vector<bench::row> rows;
    std::vector<bench::comparison> goals;
    const auto add = [&](std::string name, const std::string& binding, authentication_level level,
                         std::size_t bytes, std::vector<pid_t> processes, bool own_cpu = true) {
        bench::caller::settings with{.binding = binding,
                                     .options = options_at(level),
                                     .interface = mgmt_id,
                                     .opnum = is_server_listening,
                                     .request = bench::pattern(bytes),
                                     .answer = listening};
        callers.push_back(std::make_unique<bench::caller>(std::move(with)));
        rows.push_back(callers.back()->as_row(std::move(name), std::move(processes), bytes));
        rows.back().own_cpu = own_cpu;
    };
    const std::string tcp = "ncacn_ip_tcp:127.0.0.1[" + std::to_string(server.port(0)) + "]";
    const std::string tunnel = bench::binding_through(server.port(1), proxy.port(), false);
    for (const named_level& each : levels)
        for (const std::size_t bytes : {std::size_t{32}, large}) {
            const std::string what =
                std::string(each.name) + (bytes == large ? ", 64 KiB" : ", 32 B");
            add("TCP, " + what, tcp, each.level, bytes, {server.process()});
            add("tunnel, " + what, tunnel, each.level, bytes, {server.process(), proxy.process()});
            if (!peer) continue;
            rows.push_back(peer->as_row("Samba, " + what, each.name, bytes));
            goals.push_back({"Samba: calls/s", "TCP, " + what, "Samba, " + what,
                             metric::calls_per_second, 1.0});
            goals.push_back(
                {"Samba: CPU/call", "TCP, " + what, "Samba, " + what, metric::cpu_per_call, 1.0});
            // The same client at both servers, the server's time alone.
            add("our server, " + what, tcp, each.level, bytes, {server.process()}, false);
            add("Samba's server, " + what, peer->binding(), each.level, bytes, {peer->process()},
                false);
            const bool is_row_18 = bytes != large && each.level == authentication_level::none;
            goals.push_back({is_row_18 ? "row 18: server's CPU/call" : "server's CPU/call",
                             "our server, " + what, "Samba's server, " + what, metric::cpu_per_call,
                             is_row_18 ? 0.35 : 1.0});
        }
    return bench::run_and_print(rows, goals, options);
}

} // namespace

int main(int count, char** arguments) {
    try {
        return run({arguments + 1, arguments + count});
    } catch (const std::exception& e) {
        std::fprintf(stderr, "levels: %s\n", e.what());
        return 1;
    }
}
