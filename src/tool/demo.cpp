// rpch demo: the main job in one process on loopback, with real sockets and TLS.
#include "options.hpp"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <rpch/auth/users_file.hpp>
#include <rpch/client/client.hpp>
#include <rpch/proxy/proxy.hpp>
#include <rpch/server/server.hpp>
#include <rpch/services/rpcecho.hpp>
#include <rpch/transport/password_hash.hpp>
#include <rpch/transport/self_signed.hpp>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

#include <unistd.h>

#include "sample_services.hpp"

namespace tool {

namespace {

using rpch::services::rpcecho;

/// A users file that lives as long as the demonstration.
class temporary_users {
  public:
    temporary_users(const std::string& user, const std::string& password) {
        const char* folder = std::getenv("TMPDIR");
        path_ = std::string(folder != nullptr ? folder : "/tmp") + "/rpch-demo-XXXXXX";
        const int fd = ::mkstemp(path_.data());
        if (fd >= 0) ::close(fd);
        rpch::auth::users_file users;
        const auto hash = rpch::transport::make_password_hash(password);
        if (hash && !users.set(user, *hash)) std::ofstream(path_) << users.format();
    }
    temporary_users(const temporary_users&) = delete;
    temporary_users& operator=(const temporary_users&) = delete;
    ~temporary_users() { ::unlink(path_.c_str()); }
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    std::string path_;
};

/// The rows of the table that the demonstration ends with.
class table {
  public:
    void row(const char* what, bool good, const std::string& outcome,
             std::chrono::steady_clock::duration took) {
        const auto ms = std::chrono::duration<double, std::milli>(took).count();
        std::printf("  %-4s %8.1f ms  %-50s %s\n", good ? "ok" : "BAD", ms, what, outcome.c_str());
        all_good_ = all_good_ && good;
    }
    [[nodiscard]] bool all_good() const { return all_good_; }

  private:
    bool all_good_ = true;
};

/// The shortest life a channel can have: both are replaced every 128 KiB.
constexpr std::uint32_t lifetime = rpch::limits::channel_lifetime_min;

/// Channels that were replaced, by the proxy's log.
struct replaced_channels {
    int in = 0;
    int out = 0;
    void count(const std::string& line) {
        if (line.find("replaced at this proxy") == std::string::npos) return;
        ++(line.rfind("IN", 0) == 0 ? in : out);
    }
};

struct setting {
    std::string binding;
    rpch::client_options options;
    table* rows;
    const replaced_channels* replaced;
};

asio::awaitable<void> call_through(setting s) {
    using clock = std::chrono::steady_clock;
    auto start = clock::now();
    rpch::service<rpcecho> echo = co_await rpch::connect<rpcecho>(s.binding, s.options);
    s.rows->row("connect: HTTPS, both channels, bind", true, "verified, Basic",
                clock::now() - start);

    start = clock::now();
    const std::uint32_t sum = co_await echo.call<rpcecho::add_one>(41U);
    s.rows->row("AddOne(41)", sum == 42, "= " + std::to_string(sum), clock::now() - start);

    start = clock::now();
    rpcecho::octets data(1 << 20);
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::uint8_t>(i * 7);
    const std::uint32_t size = static_cast<std::uint32_t>(data.size());
    const rpcecho::octets back = co_await echo.call<rpcecho::echo_data>(size, data);
    s.rows->row("EchoData of 1 MiB, both ways", back == data, "byte for byte",
                clock::now() - start);

    start = clock::now();
    bool same = true;
    for (int i = 0; i < 4; ++i) {
        const rpcecho::octets again = co_await echo.call<rpcecho::echo_data>(size, data);
        same = same && again == data;
    }
    const replaced_channels& n = *s.replaced;
    s.rows->row("4 MiB more, through channels that live for 128 KiB",
                same && n.in >= 16 && n.out >= 16,
                "replaced: IN " + std::to_string(n.in) + ", OUT " + std::to_string(n.out),
                clock::now() - start);
}

/// Makes a connection that must be refused with `expected`.
asio::awaitable<void> must_fail(const char* what, setting s, std::error_code expected) {
    const auto start = std::chrono::steady_clock::now();
    std::string outcome = "was not refused";
    bool good = false;
    try {
        rpch::service<rpcecho> echo = co_await rpch::connect<rpcecho>(s.binding, s.options);
    } catch (const rpch::rpc_error& refused) {
        good = refused.code() == expected;
        outcome = refused.what();
    }
    s.rows->row(what, good, outcome, std::chrono::steady_clock::now() - start);
}

asio::awaitable<void> show(setting s, std::string wrong_target, std::string other_authority) {
    co_await call_through(s);
    setting wrong_password = s;
    wrong_password.options.http_password = "guess";
    co_await must_fail("refused: wrong password", wrong_password, rpch::errc::http_auth_required);
    setting elsewhere = s;
    elsewhere.binding = wrong_target;
    co_await must_fail("refused: a target that ValidPorts lacks", elsewhere,
                       rpch::rpc_status::proxy_access_denied);
    setting distrusting = s;
    distrusting.options.tls_context.reset();
    distrusting.options.tls.ca_pem = other_authority;
    co_await must_fail("refused: a certificate of another authority", distrusting,
                       rpch::errc::tls_untrusted);
}

std::string binding(std::uint16_t target, std::uint16_t proxy) {
    return "ncacn_http:localhost[" + std::to_string(target) +
           ",RpcProxy=localhost:" + std::to_string(proxy) + "]";
}

} // namespace

int run_demo() {
    const auto complain = [](const std::string& what) {
        std::fprintf(stderr, "rpch demo: %s\n", what.c_str());
        return failed;
    };
    const auto authority = rpch::transport::test_authority::make();
    const auto stranger = rpch::transport::test_authority::make("another authority");
    if (!authority) return complain(authority.error().message());
    if (!stranger) return complain(stranger.error().message());
    rpch::transport::certificate_request request;
    request.dns_names = {"localhost"};
    request.ip_addresses = {"127.0.0.1"};
    const auto leaf = authority->issue(request);
    if (!leaf) return complain(leaf.error().message());
    rpch::transport::tls_server_options certificate;
    certificate.certificate_chain_pem = leaf->certificate_pem;
    certificate.private_key_pem = leaf->private_key_pem;
    auto tls = rpch::transport::tls_context::make_server(certificate);
    if (!tls) return complain(tls.error().message());
    const temporary_users users("demo", "correct horse");

    asio::io_context io(1);
    rpch::server server(io.get_executor());
    offer_rpcecho(server);
    const auto server_port = server.listen("ncacn_http:127.0.0.1");
    if (!server_port) return complain(server_port.error().message());
    rpch::proxy_settings settings;
    settings.valid_ports = "localhost:" + std::to_string(*server_port);
    settings.allow_basic = true;
    settings.users_file = users.path();
    settings.channel_lifetime = lifetime;
    replaced_channels replaced;
    settings.log = [&replaced](const std::string& line) { replaced.count(line); };
    std::string why;
    auto proxy = rpch::proxy::make(io.get_executor(), settings, &why);
    if (!proxy) return complain(why);
    const auto proxy_port = proxy->listen({"127.0.0.1", 0}, *tls);
    if (!proxy_port) return complain(proxy_port.error().message());

    std::printf("RPC server  ncacn_http:127.0.0.1[%u]   (RTS over TCP, interface rpcecho)\n"
                "RPC proxy   https://localhost:%u   (TLS, Basic, ValidPorts %s)\n"
                "client      %s\n\n",
                *server_port, *proxy_port, settings.valid_ports.c_str(),
                binding(*server_port, *proxy_port).c_str());
    table rows;
    setting s{binding(*server_port, *proxy_port), {}, &rows, &replaced};
    s.options.channel_lifetime = lifetime;
    s.options.tls.ca_pem = authority->certificate_pem();
    s.options.http_auth = rpch::http_authentication::basic;
    s.options.http_user = "demo";
    s.options.http_password = "correct horse";
    std::exception_ptr trouble;
    asio::co_spawn(io,
                   show(s, binding(static_cast<std::uint16_t>(*server_port ^ 1), *proxy_port),
                        stranger->certificate_pem()),
                   [&](const std::exception_ptr& e) {
                       trouble = e;
                       proxy->close();
                       server.close();
                   });
    io.run();
    try {
        if (trouble) std::rethrow_exception(trouble);
    } catch (const std::exception& e) {
        return complain(e.what());
    }
    std::printf("\n%s\n", rows.all_good() ? "all as it should be" : "something is wrong");
    return rows.all_good() ? succeeded : failed;
}

} // namespace tool
