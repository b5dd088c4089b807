// The operations a server offers, and how functions of C++ become them.
#ifndef RPCH_SERVER_HANDLERS_HPP
#define RPCH_SERVER_HANDLERS_HPP

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <rpch/failure.hpp>
#include <rpch/ndr/operation.hpp>
#include <rpch/result.hpp>
#include <rpch/server/call_context.hpp>

#include <asio/awaitable.hpp>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/co_spawn.hpp>
#include <asio/error.hpp>

namespace rpch::inline RPCH_ABI {

/// Where answers go; implemented by the connection that received the call.
class call_sink {
  public:
    virtual ~call_sink() = default;
    /// Thread-safe. A call that is gone (answered, cancelled, connection closed) is ignored.
    virtual void respond(std::uint32_t call_id, std::vector<std::byte> stub) = 0;
    virtual void fault(std::uint32_t call_id, rpc_status status) = 0;
};

/// The one chance to answer a call; movable. One that is dropped unanswered sends the fault
/// nca_s_fault_unspec, so that no call is lost.
class responder {
  public:
    responder(std::weak_ptr<call_sink> sink, std::uint32_t call_id) noexcept
        : sink_(std::move(sink)), call_id_(call_id), armed_(true) {}
    responder(responder&& other) noexcept
        : sink_(std::move(other.sink_)),
          call_id_(other.call_id_),
          armed_(other.armed_.exchange(false)) {}
    responder& operator=(responder&&) = delete;
    ~responder() { fault(rpc_status::nca_fault_unspec); }

    /// Answers with the stub data of a response. Thread-safe.
    void respond(std::vector<std::byte> stub) {
        if (!armed_.exchange(false)) return;
        if (const auto sink = sink_.lock()) sink->respond(call_id_, std::move(stub));
    }
    /// Answers with a fault. Thread-safe.
    void fault(rpc_status status) {
        if (!armed_.exchange(false)) return;
        if (const auto sink = sink_.lock()) sink->fault(call_id_, status);
    }

  private:
    std::weak_ptr<call_sink> sink_;
    std::uint32_t call_id_;
    std::atomic<bool> armed_; // a worker may answer while the call is cancelled on the strand
};

/// The raw form of a handler: stub bytes in, a responder for the answer. Called on the server's
/// strand; it must not block.
using raw_handler = std::function<void(call_context&, std::vector<std::byte> stub,
                                       core::byte_order order, responder answer)>;

/// The operations of one interface; opnum is the index, empty functions are not offered.
struct interface_entry {
    interface_id id;
    std::vector<raw_handler> operations{};
    /// Serves operations that have no handler of their own; may be empty.
    raw_handler fallback{};
    /// Calls of the interface that may be executed at the same time, on all connections together,
    /// and the stub bytes they may have; more are refused with nca_s_server_too_busy, unexecuted.
    std::size_t calls_max = SIZE_MAX;
    std::size_t call_bytes_max = SIZE_MAX;
    /// In order of preference; empty: NDR 2.0, and NDR64 if no handler works on stub bytes.
    std::vector<ndr::transfer_syntax> transfer_syntaxes{};
    /// A handler works on stub bytes, and may not know NDR64.
    bool has_raw_handlers = false;
    /// Of the calls; empty: that of the settings.
    std::optional<auth::authentication_level> minimum_level{};
};

/// All interfaces of a server. Filled before the server listens; not changed afterwards.
class handler_registry {
  public:
    /// @return the entry of `id`, made if it is new.
    interface_entry& entry(const interface_id& id) {
        for (auto& each : interfaces_)
            if (each->id == id) return *each;
        interfaces_.push_back(std::make_unique<interface_entry>(interface_entry{.id = id}));
        ids_.push_back(id);
        return *interfaces_.back();
    }
    void set(const interface_id& id, std::uint16_t opnum, raw_handler handler) {
        auto& operations = entry(id).operations;
        if (operations.size() <= opnum) operations.resize(std::size_t{opnum} + 1);
        operations[opnum] = std::move(handler);
    }
    [[nodiscard]] const std::vector<interface_id>& ids() const noexcept { return ids_; }
    [[nodiscard]] const interface_entry& at(std::size_t index) const { return *interfaces_[index]; }
    /// @return the handler for an operation, or nullptr: nca_s_op_rng_error.
    [[nodiscard]] const raw_handler* find(std::size_t interface_index,
                                          std::uint16_t opnum) const noexcept {
        if (interface_index >= interfaces_.size()) return nullptr;
        const auto& e = *interfaces_[interface_index];
        if (opnum < e.operations.size() && e.operations[opnum]) return &e.operations[opnum];
        return e.fallback ? &e.fallback : nullptr;
    }

  private:
    std::vector<std::unique_ptr<interface_entry>> interfaces_;
    std::vector<interface_id> ids_;
};

namespace detail {

template <class T>
struct is_awaitable : std::false_type {};
template <class T, class Executor>
struct is_awaitable<asio::awaitable<T, Executor>> : std::true_type {};

/// What a handler's exception means on the wire.
inline rpc_status status_of(const std::exception_ptr& thrown) noexcept {
    try {
        std::rethrow_exception(thrown);
    } catch (const rpc_fault& fault) {
        return fault.status();
    } catch (const std::bad_alloc&) {
        return rpc_status::nca_fault_remote_no_memory;
    } catch (const std::system_error& error) {
        return error.code() == asio::error::operation_aborted ? rpc_status::nca_fault_cancel
                                                              : rpc_status::nca_fault_unspec;
    } catch (...) {
        return rpc_status::nca_fault_unspec;
    }
}

template <class Function, class Tuple>
decltype(auto) apply_handler(Function& function, call_context& call, Tuple&& arguments) {
    return std::apply(
        [&](auto&&... each) -> decltype(auto) {
            if constexpr (std::is_invocable_v<Function&, call_context&, decltype(each)...>)
                return function(call, std::forward<decltype(each)>(each)...);
            else
                return function(std::forward<decltype(each)>(each)...);
        },
        std::forward<Tuple>(arguments));
}

template <class T>
struct is_result : std::false_type {};
template <class T>
struct is_result<result<T>> : std::true_type {};

/// @return the status of a fault that tells of `why`.
inline rpc_status status_of(std::error_code why) noexcept {
    return why.category() == rpc_status_category() ? static_cast<rpc_status>(why.value())
                                                   : rpc_status::nca_fault_unspec;
}

/// A value that breaks the rules of its own NDR type is the handler's mistake, not the caller's.
inline void send_answer(responder& answer, result<std::vector<std::byte>> stub) {
    if (stub)
        answer.respond(std::move(*stub));
    else
        answer.fault(rpc_status::nca_fault_unspec);
}

/// Answers with what a handler returned: a value, or a result that may hold a fault's status.
template <class Operation, class Value>
void answer_with(responder& answer, ndr::transfer_syntax syntax, Value value) {
    if constexpr (is_result<Value>::value) {
        if (!value) return answer.fault(status_of(value.error()));
        if constexpr (std::is_void_v<typename Operation::result_type>)
            send_answer(answer, Operation::encode_response({}, syntax));
        else
            send_answer(answer, Operation::encode_response(*value, syntax));
    } else
        send_answer(answer, Operation::encode_response(value, syntax));
}

/// Runs a coroutine handler; everything it needs lives in its frame.
template <class Operation, class Function, class Arguments>
asio::awaitable<void> run_coroutine(std::shared_ptr<Function> function, call_context call,
                                    Arguments arguments, responder answer) {
    // The answer is made after the handler; a co_await within a catch clause is not allowed.
    std::exception_ptr thrown;
    try {
        auto pending = apply_handler(*function, call, std::move(arguments));
        if constexpr (std::is_void_v<typename decltype(pending)::value_type>) {
            co_await std::move(pending);
            send_answer(answer, Operation::encode_response({}, call.transfer_syntax()));
        } else {
            auto value = co_await std::move(pending);
            answer_with<Operation>(answer, call.transfer_syntax(), std::move(value));
        }
    } catch (...) {
        thrown = std::current_exception();
    }
    if (thrown) answer.fault(status_of(thrown));
}

} // namespace detail

/// Turns a function, or a function that returns asio::awaitable, into a raw handler of `Operation`.
/// The function takes the [in] parameters, with `call_context&` in front if it likes, and returns
/// the operation's result. A stub that does not decode is answered with RPC_X_BAD_STUB_DATA.
template <class Operation, class Function>
raw_handler make_handler(Function function) {
    auto shared = std::make_shared<Function>(std::move(function));
    return [shared](call_context& call, std::vector<std::byte> stub, core::byte_order order,
                    responder answer) {
        auto arguments = Operation::decode_request(stub, order, call.transfer_syntax());
        if (!arguments) return answer.fault(rpc_status::nca_fault_ndr);
        using returned = decltype(detail::apply_handler(*shared, call, std::move(*arguments)));
        if constexpr (detail::is_awaitable<std::decay_t<returned>>::value) {
            const auto on = call.get_executor();
            auto work = detail::run_coroutine<Operation>(shared, call, std::move(*arguments),
                                                         std::move(answer));
            const auto state = call.state();
            // The state holds the signal, and must outlive what listens to it.
            auto done = [state](const std::exception_ptr&) {};
            if (state)
                asio::co_spawn(on, std::move(work),
                               asio::bind_cancellation_slot(state->slot(), std::move(done)));
            else
                asio::co_spawn(on, std::move(work), std::move(done));
        } else {
            try {
                if constexpr (std::is_void_v<returned>) {
                    detail::apply_handler(*shared, call, std::move(*arguments));
                    detail::send_answer(answer,
                                        Operation::encode_response({}, call.transfer_syntax()));
                } else
                    detail::answer_with<Operation>(
                        answer, call.transfer_syntax(),
                        detail::apply_handler(*shared, call, std::move(*arguments)));
            } catch (...) {
                answer.fault(detail::status_of(std::current_exception()));
            }
        }
    };
}

} // namespace rpch::inline RPCH_ABI

#endif
