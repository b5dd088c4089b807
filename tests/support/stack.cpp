#include "tests/support/stack.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

#include <rpch/auth/users_file.hpp>
#include <rpch/services/rpcecho.hpp>
#include <rpch/transport/password_hash.hpp>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/post.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <unistd.h>

#include "tests/support/certificates.hpp"

namespace test {

namespace {

std::string temporary_file() {
    const char* folder = std::getenv("TMPDIR");
    std::string path = std::string(folder != nullptr ? folder : "/tmp") + "/rpch-test-XXXXXX";
    const int fd = ::mkstemp(path.data());
    if (fd < 0) throw std::runtime_error("no temporary file");
    ::close(fd);
    return path;
}

asio::awaitable<std::uint32_t> add_two(rpch::call_context& call, std::uint32_t number) {
    co_await asio::post(call.get_executor(), asio::use_awaitable);
    co_return number + 2;
}

asio::awaitable<std::uint32_t> sleep_long(rpch::call_context& call, int& cancelled) {
    asio::steady_timer hour(call.get_executor(), std::chrono::hours(1));
    std::error_code ec;
    co_await hour.async_wait(asio::redirect_error(asio::use_awaitable, ec));
    if (ec) ++cancelled;
    if (ec) throw std::system_error(ec);
    co_return 0;
}

void throw_up(std::uint32_t how) {
    if (how == 1) throw rpch::rpc_fault(rpch::rpc_status::access_denied);
    throw std::runtime_error("a handler's own trouble");
}

rpch::result<std::uint32_t> say_no() { return rpch::fail(rpch::rpc_status::out_of_memory); }

void offer_probe(rpch::server& server, std::vector<held_call>& held, int& slept) {
    using rpch::call_context;
    using rpch::responder;
    using stub_bytes = std::vector<std::byte>;
    using rpch::core::byte_order;
    server.handle<probe, probe::add_one>([](std::uint32_t number) { return number + 1; });
    server.handle<probe, probe::add_two>(&add_two);
    server.handle<probe, probe::throw_up>(&throw_up);
    server.handle<probe, probe::say_no>(&say_no);
    server.handle<probe, probe::sleep>(
        [&slept](rpch::call_context& call) { return sleep_long(call, slept); });
    server.handle_raw(probe::id, probe::echo,
                      [](call_context&, stub_bytes stub, byte_order, responder answer) {
                          answer.respond(std::move(stub));
                      });
    server.handle_raw(probe::id, probe::hold,
                      [&held](call_context& call, stub_bytes stub, byte_order, responder answer) {
                          held.push_back({std::move(stub), std::move(answer), call});
                      });
    server.handle_raw(probe::id, probe::drop,
                      [](call_context&, const stub_bytes&, byte_order, const responder&) {});
    // What captured sessions of other clients call.
    using rpch::services::rpcecho;
    using rpch::services::rpcecho_service;
    server.handle<rpcecho, rpcecho::add_one>(&rpcecho_service::add_one);
    server.handle<rpcecho, rpcecho::echo_data>(&rpcecho_service::echo_data);
}

bool one_holds(const std::vector<std::string>& lines, std::string_view a, std::string_view b) {
    return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
        return line.find(a) != std::string::npos && line.find(b) != std::string::npos;
    });
}

} // namespace

stack::stack(stack_options options) : options_(std::move(options)) {
    rpch::server_settings serving;
    serving.log = [this](const std::string& line) { server_log.push_back(line); };
    rpch::proxy_settings proxying;
    proxying.log = [this](const std::string& line) { proxy_log.push_back(line); };
    if (options_.window) {
        serving.receive_window = *options_.window;
        proxying.in_receive_window = proxying.out_receive_window = *options_.window;
    }
    if (options_.fragment) serving.max_fragment = *options_.fragment;
    proxying.allow_anonymous = !options_.basic;
    proxying.allow_plain = true;
    if (options_.basic) {
        users_path = temporary_file();
        rpch::auth::users_file users;
        // Few iterations: what a password costs is not what these tests are about.
        static_cast<void>(users.set(
            "tester", rpch::transport::make_password_hash("correct horse", 1000).value()));
        std::ofstream(users_path) << users.format();
        proxying.allow_basic = true;
        proxying.users_file = users_path;
    }
    auto certificate = options_.proxy_tls;
    if (options_.tls && !certificate) certificate = tls_server();
    if (options_.front_door) {
        serving.front_door = proxying;
        serving.front_door.log = nullptr; // the server's
    }
    if (options_.adjust_server) options_.adjust_server(serving);
    server.emplace(io.get_executor(), serving);
    offer_probe(*server, held, slept);
    if (options_.prepare_server) options_.prepare_server(*server);
    server_port = server->listen("ncacn_http:127.0.0.1").value();
    tcp_port = server->listen("ncacn_ip_tcp:127.0.0.1").value();
    if (options_.front_door)
        front_port = server->listen_https({"127.0.0.1", 0}, certificate).value();

    proxying.valid_ports = "127.0.0.1:" + std::to_string(server_port);
    if (options_.adjust_proxy) options_.adjust_proxy(proxying);
    proxy.emplace(rpch::proxy::make(io.get_executor(), proxying).value());
    proxy_port = proxy->listen({"127.0.0.1", 0}, certificate).value();
}

stack::~stack() {
    if (!users_path.empty()) ::unlink(users_path.c_str());
}

bool stack::run_until(const std::function<bool()>& done, std::chrono::milliseconds limit) {
    const auto until = std::chrono::steady_clock::now() + limit;
    while (!done()) {
        if (std::chrono::steady_clock::now() >= until) return false;
        io.restart();
        io.run_one_until(until);
    }
    return true;
}

void stack::run_ready() {
    io.restart();
    for (int i = 0; i < 1000 && io.poll_one() != 0; ++i) { // a bystander is never done
    }
}

std::string stack::binding() const {
    return "ncacn_http:127.0.0.1[" + std::to_string(server_port) +
           ",RpcProxy=127.0.0.1:" + std::to_string(proxy_port) +
           (options_.tls ? "]" : ",HttpUseTls=false]");
}

std::string stack::front_binding(const std::string& target) const {
    return "ncacn_http:" + target + ",RpcProxy=127.0.0.1:" + std::to_string(front_port) +
           (options_.tls ? "]" : ",HttpUseTls=false]");
}

std::string stack::tcp_binding() const {
    return "ncacn_ip_tcp:127.0.0.1[" + std::to_string(tcp_port) + "]";
}

rpch::client_options stack::options() {
    rpch::client_options out;
    out.executor = io.get_executor();
    if (options_.tls) out.tls.ca_pem = authority().certificate_pem();
    if (options_.basic) {
        out.http_auth = rpch::http_authentication::basic;
        out.http_user = "tester";
        out.http_password = "correct horse";
        out.allow_basic_over_plain = true;
    }
    if (options_.window) out.receive_window = *options_.window;
    if (options_.fragment) // as large as the client's own window allows
        out.max_fragment = static_cast<std::uint16_t>(
            std::min<std::uint32_t>(*options_.fragment, out.receive_window / 2));
    return out;
}

bool stack::proxy_said(std::string_view a, std::string_view b) const {
    return one_holds(proxy_log, a, b);
}
bool stack::server_said(std::string_view a, std::string_view b) const {
    return one_holds(server_log, a, b);
}

caller::caller(stack& on, const std::string& binding, rpch::client_options options,
               const rpch::interface_id& id)
    : stack_(on) {
    auto started = rpch::client::start(binding, std::move(options), bound_->why);
    if (!started) {
        bound_->done = 1;
        return;
    }
    client_ = std::move(*started);
    client_->async_bind<rpch::failure>(
        id, [bound = bound_, context = context_](const rpch::failure& why, std::uint16_t given) {
            ++bound->done;
            bound->why = why;
            *context = given;
        });
}

bool caller::open() {
    return stack_.run_until([this] { return bound_->done != 0; }) && !bound_->why;
}

std::shared_ptr<outcome> caller::begin(std::uint16_t opnum, std::vector<std::byte> stub) {
    auto out = std::make_shared<outcome>();
    client_->async_call_raw<rpch::failure>(
        *context_, opnum, std::move(stub),
        [out](const rpch::failure& why, rpch::raw_response answer) {
            ++out->done;
            out->why = why;
            out->stub = std::move(answer.stub);
            out->at = std::chrono::steady_clock::now();
        });
    return out;
}

std::shared_ptr<outcome> caller::begin(std::uint16_t opnum, std::vector<std::byte> stub,
                                       const rpch::call_parameters& parameters,
                                       asio::cancellation_slot slot) {
    auto out = std::make_shared<outcome>();
    client_->async_call_raw<rpch::failure>(
        *context_, opnum, std::move(stub), parameters,
        asio::bind_cancellation_slot(slot,
                                     [out](const rpch::failure& why, rpch::raw_response answer) {
                                         ++out->done;
                                         out->why = why;
                                         out->stub = std::move(answer.stub);
                                         out->at = std::chrono::steady_clock::now();
                                     }));
    return out;
}

std::shared_ptr<outcome> caller::call(std::uint16_t opnum, std::vector<std::byte> stub) {
    auto out = begin(opnum, std::move(stub));
    stack_.run_until([&] { return out->done != 0; });
    return out;
}

bystander::bystander(stack& on) : stack_(on), caller_(on, on.binding()) {
    if (caller_.open())
        next();
    else
        failed_ = true;
}

void bystander::next() {
    const bytes sent = pattern(24, static_cast<unsigned>(calls_));
    caller_.connection().async_call_raw(
        caller_.context(), probe::echo, sent,
        [this, sent](std::error_code why, const rpch::raw_response& answer) {
            if (why == rpch::errc::operation_aborted) return; // the test is over
            ++calls_;
            failed_ = failed_ || why || answer.stub != sent;
            if (!failed_) next();
        });
}

bool bystander::goes_on(int calls) {
    const int until = calls_ + calls;
    return stack_.run_until([&] { return failed_ || calls_ >= until; }) && !failed_;
}

bytes pattern(std::size_t n, unsigned seed) {
    bytes out(n);
    std::uint32_t x = seed * 2654435761U + 1;
    for (std::byte& each : out) {
        x = x * 1664525U + 1013904223U;
        each = static_cast<std::byte>(x >> 24);
    }
    return out;
}

} // namespace test
