// Server, proxy and clients of one io_context on loopback, with everything they log.
#ifndef RPCH_TESTS_SUPPORT_STACK_HPP
#define RPCH_TESTS_SUPPORT_STACK_HPP

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <rpch/client/client.hpp>
#include <rpch/proxy/proxy.hpp>
#include <rpch/server/server.hpp>

#include <asio/cancellation_signal.hpp>
#include <asio/io_context.hpp>

#include "tests/support/bytes.hpp"

namespace test {

/// Every wait of the loopback tests ends after this; far above what any of them needs.
inline constexpr std::chrono::seconds patience{60};

/// An interface whose operations are what tests need of a server.
struct probe {
    static constexpr rpch::interface_id id{"5a0dd08c-6d9b-4bd0-9d5c-3f6d7a3a0b11", 1, 2};

    /// Adds one; a plain function.
    using add_one = rpch::operation<0, std::uint32_t(std::uint32_t)>;
    /// Adds two; a coroutine that lets others go first.
    using add_two = rpch::operation<1, std::uint32_t(std::uint32_t)>;
    /// Throws rpc_fault(access_denied) for 1, std::runtime_error otherwise.
    using throw_up = rpch::operation<2, void(std::uint32_t)>;
    /// A result that holds an error.
    using say_no = rpch::operation<3, std::uint32_t()>;
    /// A coroutine that waits for an hour, or until it is cancelled.
    using sleep = rpch::operation<8, std::uint32_t()>;

    // In raw form.
    static constexpr std::uint16_t echo = 4;    ///< Sends the stub back.
    static constexpr std::uint16_t hold = 5;    ///< Answered by the test, see `stack::held`.
    static constexpr std::uint16_t drop = 6;    ///< Drops its responder.
    static constexpr std::uint16_t missing = 7; ///< Not there.
};

struct stack_options {
    bool tls = false;
    bool basic = false; ///< User `tester`, password `correct horse`; else everybody is let in.
    std::optional<std::uint32_t> window = {};   ///< Receive window of all four hops, bytes.
    std::optional<std::uint16_t> fragment = {}; ///< Of client and server, bytes.
    /// The server listens for RPC over HTTP clients, too; with `tls` and `basic` as the proxy does.
    bool front_door = false;
    std::shared_ptr<rpch::transport::tls_context> proxy_tls =
        {}; ///< Instead of the usual certificate.
    std::function<void(rpch::proxy_settings&)> adjust_proxy = {};
    std::function<void(rpch::server_settings&)> adjust_server = {};
    std::function<void(rpch::server&)> prepare_server = {}; ///< Before it listens.
};

/// A call that waits in the server for its answer.
struct held_call {
    std::vector<std::byte> stub;
    rpch::responder answer;
    rpch::call_context call;
};

class stack {
  public:
    explicit stack(stack_options options = {});
    stack(const stack&) = delete;
    stack& operator=(const stack&) = delete;
    ~stack();

    /// Runs handlers until `done` says so. @return whether it did within `patience`.
    bool run_until(const std::function<bool()>& done, std::chrono::milliseconds limit = patience);
    /// Runs the handlers that are ready now, and what follows from them.
    void run_ready();

    /// @return the way through the proxy.
    [[nodiscard]] std::string binding() const;
    /// @return the way through the server's own front door.
    [[nodiscard]] std::string front_binding(const std::string& target = "any.example[6001") const;
    /// @return the way past it.
    [[nodiscard]] std::string tcp_binding() const;
    /// @return options that connect to this stack.
    [[nodiscard]] rpch::client_options options();

    /// @return whether a line of the proxy's or the server's log holds all these words.
    [[nodiscard]] bool proxy_said(std::string_view a, std::string_view b = {}) const;
    [[nodiscard]] bool server_said(std::string_view a, std::string_view b = {}) const;

    asio::io_context io{1};
    std::vector<std::string> proxy_log;
    std::vector<std::string> server_log;
    std::vector<held_call> held;
    int slept = 0; ///< Calls of probe::sleep that were cancelled.
    std::optional<rpch::server> server;
    std::optional<rpch::proxy> proxy;
    std::uint16_t server_port = 0; ///< ncacn_http
    std::uint16_t tcp_port = 0;    ///< ncacn_ip_tcp
    std::uint16_t proxy_port = 0;
    std::uint16_t front_port = 0; ///< The server's own HTTP(S).
    std::string users_path;       ///< Of the users file; empty without Basic.

  private:
    stack_options options_;
};

/// How a connection or call went; `done` counts how often its handler ran.
struct outcome {
    int done = 0;
    rpch::failure why;
    std::vector<std::byte> stub;
    std::chrono::steady_clock::time_point at{};
};

/// A client with its context of `probe`, in calls that a test can wait for.
class caller {
  public:
    /// Begins to connect and bind.
    caller(stack& on, const std::string& binding, rpch::client_options options,
           const rpch::interface_id& id = probe::id);
    caller(stack& on, const std::string& binding) : caller(on, binding, on.options()) {}

    /// Waits for the bind. @return whether it was successful.
    bool open();
    [[nodiscard]] const rpch::failure& why() const { return bound_->why; }
    [[nodiscard]] int binds_done() const { return bound_->done; }

    /// Begins a call.
    std::shared_ptr<outcome> begin(std::uint16_t opnum, std::vector<std::byte> stub = {});
    /// The same with parameters, and a slot that cancels it.
    std::shared_ptr<outcome> begin(std::uint16_t opnum, std::vector<std::byte> stub,
                                   const rpch::call_parameters& parameters,
                                   asio::cancellation_slot slot);
    /// Makes a call and waits for its end.
    std::shared_ptr<outcome> call(std::uint16_t opnum, std::vector<std::byte> stub = {});

    [[nodiscard]] rpch::client& connection() { return *client_; }
    [[nodiscard]] std::uint16_t context() const { return *context_; }
    void close() { client_.reset(); }

  private:
    stack& stack_;
    std::optional<rpch::client> client_;
    std::shared_ptr<outcome> bound_ = std::make_shared<outcome>();
    std::shared_ptr<std::uint16_t> context_ = std::make_shared<std::uint16_t>();
};

/// A connection that calls all the time, to see whether what happens to others disturbs it.
class bystander {
  public:
    explicit bystander(stack& on);
    /// Runs until so many more calls came back right. @return whether they did, and none failed.
    bool goes_on(int calls = 1);

  private:
    void next();

    stack& stack_;
    caller caller_;
    int calls_ = 0;
    bool failed_ = false;
};

/// @return `n` octets that differ from place to place and from seed to seed.
bytes pattern(std::size_t n, unsigned seed = 1);

} // namespace test

#endif
