// What a handler of a server knows about the call it serves.
#ifndef RPCH_SERVER_CALL_CONTEXT_HPP
#define RPCH_SERVER_CALL_CONTEXT_HPP

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <rpch/core/uuid.hpp>
#include <rpch/dcerpc/detail/held_stubs.hpp>
#include <rpch/dcerpc/server_association.hpp>
#include <rpch/dcerpc/string_binding.hpp>
#include <rpch/dcerpc/stub_budget.hpp>
#include <rpch/failure.hpp>
#include <rpch/ndr/transfer_syntax.hpp>
#include <rpch/server/context_handles.hpp>
#include <rpch/transport/executor.hpp>

#include <asio/cancellation_signal.hpp>

namespace rpch::inline RPCH_ABI {

using dcerpc::protocol_sequence;

/// What all calls of one connection have in common.
struct connection_info {
    protocol_sequence protocol = protocol_sequence::ncacn_http;
    /// ncacn_ip_tcp: the peer's address. ncacn_http: the client's address as the inbound proxy
    /// claims it, a hint for logs only ([MS-RPCH] 2.2.3.2).
    std::string client_address;
    std::uint32_t association_group = 0;
    /// ncacn_ip_tcp: the address of ours that the client reached. ncacn_http: empty, for what the
    /// client reached is a proxy.
    std::string server_address{};
    /// The server's context handles, for `call_context::make_handle` and its like.
    std::shared_ptr<context_handles> handles{};
};

/// What the calls of an interface take now. Handlers may let go of a call on any thread.
struct call_usage {
    std::atomic<std::size_t> calls{0};
    /// Of stub data, of calls that arrive, are executed or are answered.
    std::shared_ptr<dcerpc::stub_budget> stubs = std::make_shared<dcerpc::stub_budget>();
};

/// What changes about a call while its handler runs.
class call_state {
  public:
    /// Counts the call as long as anybody has anything to do with it.
    call_state(std::shared_ptr<call_usage> usage, std::size_t bytes)
        : usage_(std::move(usage)), stub_(usage_->stubs) {
        ++usage_->calls;
        stub_.add(bytes);
    }
    call_state(const call_state&) = delete;
    call_state& operator=(const call_state&) = delete;
    ~call_state() { --usage_->calls; }

    [[nodiscard]] bool is_cancelled() const noexcept { return cancelled_; }
    void on_cancel(std::function<void()> then) {
        if (cancelled_) return then();
        if (!over_) then_ = std::move(then);
    }
    [[nodiscard]] asio::cancellation_slot slot() noexcept { return signal_.slot(); }
    /// On the strand, once or several times.
    void cancel() {
        if (cancelled_.exchange(true)) return;
        signal_.emit(asio::cancellation_type::terminal);
        if (const auto then = std::exchange(then_, nullptr)) then();
    }
    /// Nobody is to be told any more. What was to tell may hold a call_context, and with it this:
    /// neither would ever go. On the strand.
    void end() {
        over_ = true;
        static_cast<void>(std::exchange(then_, nullptr));
    }

  private:
    std::atomic<bool> cancelled_{false};
    asio::cancellation_signal signal_;
    std::function<void()> then_;
    bool over_ = false; // was answered, or its connection is no more
    std::shared_ptr<call_usage> usage_;
    dcerpc::detail::held_stubs stub_;
};

/// One call, as its handler sees it. Good until the handler has answered.
class call_context {
  public:
    call_context(std::shared_ptr<const connection_info> connection, std::uint32_t call_id,
                 std::uint16_t opnum, std::optional<uuid> object, transport::executor on,
                 std::shared_ptr<const dcerpc::call_security> security = nullptr,
                 std::shared_ptr<call_state> state = nullptr, std::size_t interface = 0,
                 ndr::transfer_syntax syntax = ndr::transfer_syntax::ndr20)
        : connection_(std::move(connection)),
          security_(std::move(security)),
          state_(std::move(state)),
          object_(object),
          executor_(std::move(on)),
          interface_(interface),
          call_id_(call_id),
          opnum_(opnum),
          syntax_(syntax) {}

    [[nodiscard]] const connection_info& connection() const noexcept { return *connection_; }
    [[nodiscard]] std::uint32_t call_id() const noexcept { return call_id_; }
    [[nodiscard]] std::uint16_t opnum() const noexcept { return opnum_; }
    /// @return the object UUID of the request, if it had one.
    [[nodiscard]] const std::optional<uuid>& object() const noexcept { return object_; }
    /// @return the transfer syntax of the call's stub data, and of its answer's.
    [[nodiscard]] ndr::transfer_syntax transfer_syntax() const noexcept { return syntax_; }
    /// @return what the caller's security context proved: level, peer, session key; null for a call
    /// without.
    [[nodiscard]] const dcerpc::call_security* security() const noexcept { return security_.get(); }
    /// @return who calls, if a security context proved it; null otherwise. Anonymous callers are
    /// said to be so (`peer_identity::anonymous`).
    [[nodiscard]] const auth::peer_identity* caller() const noexcept {
        return security_ ? &security_->peer : nullptr;
    }
    /// @return how the call was protected on its way.
    [[nodiscard]] auth::authentication_level level() const noexcept {
        return security_ ? security_->level : auth::authentication_level::none;
    }
    /// @return whether the caller has asked to stop the call (co_cancel), has given it up
    /// (orphaned) or is gone with its connection. A handler may go on; one that stops answers with
    /// rpc_status::nca_fault_cancel. Thread-safe.
    [[nodiscard]] bool is_cancelled() const noexcept { return state_ && state_->is_cancelled(); }
    /// Has `then` called, on the server's strand, when is_cancelled() becomes true; at once if it
    /// is. Replaces what was given before, and goes when the call is answered. On the strand.
    /// Coroutine handlers need none: what they wait for is cancelled
    /// (asio::cancellation_type::terminal).
    void on_cancel(std::function<void()> then) {
        if (state_) state_->on_cancel(std::move(then));
    }
    /// For handlers that are coroutines. @return null outside a server.
    [[nodiscard]] const std::shared_ptr<call_state>& state() const noexcept { return state_; }
    /// @return the executor of the server; timers and work of a handler belong there.
    [[nodiscard]] const transport::executor& get_executor() const noexcept { return executor_; }

    /// Makes a context handle, to be returned to the client, for an object of the application. Good
    /// for calls of the same interface and user on any connection of the association group, until
    /// it is closed or the last connection of the group has ended: then the object is destroyed,
    /// after the calls that still hold it. Thread-safe.
    /// @throws rpc_fault: nca_fault_remote_no_memory above a limit of the settings,
    ///         nca_fault_context_mismatch if all connections of the group are gone.
    template <class T>
    [[nodiscard]] ndr::context_handle make_handle(std::shared_ptr<T> object) const {
        return value_of(handles().add(scope(), std::move(object), typeid(T)));
    }
    /// The same with an object made of `args`.
    template <class T, class... Args>
    requires std::is_constructible_v<T, Args...>
    [[nodiscard]] ndr::context_handle make_handle(Args&&... args) const {
        return make_handle<T>(std::make_shared<T>(std::forward<Args>(args)...));
    }
    /// @return the object behind a context handle that the client sent. Several calls may have it
    ///         at the same time, on several threads if handlers run there. Thread-safe.
    /// @throws rpc_fault(nca_fault_context_mismatch) for the null handle, an unknown one, and one
    ///         of another type, interface, association group or user.
    template <class T>
    [[nodiscard]] std::shared_ptr<T> handle(const ndr::context_handle& h) const {
        return std::static_pointer_cast<T>(value_of(handles().find(scope(), h, typeid(T))));
    }
    /// Ends a context handle; its object is destroyed when no call holds it any more. Thread-safe.
    /// @return the null handle, which the client is to get back.
    /// @throws rpc_fault as `handle`.
    template <class T>
    ndr::context_handle close_handle(const ndr::context_handle& h) const {
        static_cast<void>(value_of(handles().take(scope(), h, typeid(T))));
        return {};
    }

  private:
    template <class T>
    static T value_of(result<T> outcome) {
        if (outcome) return std::move(*outcome);
        throw rpc_fault(outcome.error().category() == rpc_status_category()
                            ? static_cast<rpc_status>(outcome.error().value())
                            : rpc_status::nca_fault_unspec);
    }
    [[nodiscard]] context_handles& handles() const {
        if (!connection_->handles) throw rpc_fault(rpc_status::nca_fault_context_mismatch);
        return *connection_->handles;
    }
    [[nodiscard]] handle_scope scope() const noexcept {
        return {connection_->association_group, interface_, caller()};
    }

    std::shared_ptr<const connection_info> connection_;
    std::shared_ptr<const dcerpc::call_security> security_;
    std::shared_ptr<call_state> state_;
    std::optional<uuid> object_;
    transport::executor executor_;
    std::size_t interface_; ///< Its index at the server.
    std::uint32_t call_id_;
    std::uint16_t opnum_;
    ndr::transfer_syntax syntax_;
};

} // namespace rpch::inline RPCH_ABI

#endif
