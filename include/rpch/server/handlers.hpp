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
    /// and the stub bytes they may hold; more are refused with nca_s_server_too_busy, unexecuted.
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

/// A value that breaks the rules of its own NDR type is the handler's mistake, not the caller's.
inline void send_answer(responder& answer, result<std::vector<std::byte>> stub) {
    if (stub)
        answer.respond(std::move(*stub));
    else
        answer.fault(rpc_status::nca_fault_unspec);
}

} // namespace detail

/// How a typed handler that is a callback answers, now or later: the last parameter of the
/// function. Copies answer the same call; the first answer counts, others are ignored. When the
/// last copy goes without an answer, the caller gets the fault nca_s_fault_unspec. Thread-safe.
template <class Operation>
class reply {
  public:
    reply(std::shared_ptr<responder> to, ndr::transfer_syntax syntax) noexcept
        : to_(std::move(to)), syntax_(syntax) {}

    /// Answers with the operation's result. A value that breaks a rule of its own NDR type becomes
    /// nca_s_fault_unspec.
    void operator()(const typename Operation::response_value& value) const {
        detail::send_answer(*to_, Operation::encode_response(value, syntax_));
    }
    /// The same for operations without [out] parameters.
    void operator()() const requires std::is_void_v<typename Operation::result_type> {
        (*this)(typename Operation::response_value{});
    }
    /// Answers with a fault.
    void fault(rpc_status status) const { to_->fault(status); }

  private:
    std::shared_ptr<responder> to_;
    ndr::transfer_syntax syntax_;
};

namespace detail {

/// Whether `Function` can be called with the elements of `Tuple`, a call_context in front or not.
template <class Function, class Tuple>
struct takes_all : std::false_type {};
template <class Function, class... Args>
struct takes_all<Function, std::tuple<Args...>>
    : std::disjunction<std::is_invocable<Function&, call_context&, Args...>,
                       std::is_invocable<Function&, Args...>> {};

template <class Operation>
using request_and_reply = decltype(std::tuple_cat(std::declval<typename Operation::request>(),
                                                  std::declval<std::tuple<reply<Operation>>>()));

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

/// A handler that returned nothing would answer zeros that nobody chose, one that returns something
/// for an operation without result means another operation.
template <class Operation, class Returned>
constexpr void check_returned() {
    static_assert(std::is_void_v<Returned> == std::is_void_v<typename Operation::result_type> ||
                      is_result<Returned>::value,
                  "rpch: a handler returns what its operation does, or takes a reply<Operation>");
}

/// Runs a coroutine handler; everything it needs lives in its frame.
template <class Operation, class Function, class Arguments>
asio::awaitable<void> run_coroutine(std::shared_ptr<Function> function, call_context call,
                                    Arguments arguments, responder answer) {
    // The answer is made after the handler; a co_await within a catch clause is not allowed.
    std::exception_ptr thrown;
    try {
        auto pending = apply_handler(*function, call, std::move(arguments));
        check_returned<Operation, typename decltype(pending)::value_type>();
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

/// A handler that is a function or a coroutine, for arguments that were decoded.
template <class Operation, class Function, class Arguments>
void serve_returning(const std::shared_ptr<Function>& shared, call_context& call,
                     Arguments arguments, responder answer) {
    using returned = decltype(apply_handler(*shared, call, std::move(arguments)));
    if constexpr (is_awaitable<std::decay_t<returned>>::value) {
        const auto on = call.get_executor();
        auto work = run_coroutine<Operation>(shared, call, std::move(arguments), std::move(answer));
        const auto state = call.state();
        // The state holds the signal, and must outlive what listens to it.
        auto done = [state](const std::exception_ptr&) {};
        if (state)
            asio::co_spawn(on, std::move(work),
                           asio::bind_cancellation_slot(state->slot(), std::move(done)));
        else
            asio::co_spawn(on, std::move(work), std::move(done));
    } else {
        check_returned<Operation, std::decay_t<returned>>();
        try {
            if constexpr (std::is_void_v<returned>) {
                apply_handler(*shared, call, std::move(arguments));
                send_answer(answer, Operation::encode_response({}, call.transfer_syntax()));
            } else
                answer_with<Operation>(answer, call.transfer_syntax(),
                                       apply_handler(*shared, call, std::move(arguments)));
        } catch (...) {
            answer.fault(status_of(std::current_exception()));
        }
    }
}

/// A handler that answers by a `reply`.
template <class Operation, class Function, class Arguments>
void serve_callback(Function& function, call_context& call, Arguments arguments, responder answer) {
    using all = request_and_reply<Operation>;
    static_assert(std::is_void_v<decltype(apply_handler(function, call, std::declval<all>()))>,
                  "rpch: a handler that takes a reply answers by it, and returns nothing");
    const auto to = std::make_shared<responder>(std::move(answer));
    try {
        const reply<Operation> by(to, call.transfer_syntax());
        apply_handler(function, call, std::tuple_cat(std::move(arguments), std::tuple(by)));
    } catch (...) {
        to->fault(status_of(std::current_exception()));
    }
}

} // namespace detail

/// Turns a function, a coroutine or a callback into a raw handler of `Operation`. Each takes the
/// [in] parameters, with `call_context&` in front if it likes:
/// - a function returns the operation's result, or a `result` of it;
/// - a coroutine returns asio::awaitable of that;
/// - a callback takes a `reply<Operation>` behind the parameters, returns nothing, and answers
///   whenever it can. It copies the `call_context` if it wants that later.
/// Of a lambda whose parameters are `auto` the first that fits in this order is assumed: a context
/// and the parameters, the parameters alone, those with a reply. A generic callback therefore takes
/// a context as well.
/// An exception that one of them lets out is answered with a fault: the status of an rpc_fault,
/// else nca_s_fault_unspec. A stub that does not decode is answered with RPC_X_BAD_STUB_DATA.
template <class Operation, class Function>
raw_handler make_handler(Function function) {
    // The second is not looked at if the first holds: it would compile the body of a generic lambda
    // with parameters that it is never given.
    static_assert(
        std::disjunction_v<detail::takes_all<Function, typename Operation::request>,
                           detail::takes_all<Function, detail::request_and_reply<Operation>>>,
        "rpch: a handler takes the operation's [in] parameters, call_context& in front "
        "if it likes, and reply<Operation> behind them if it is a callback");
    auto shared = std::make_shared<Function>(std::move(function));
    return [shared](call_context& call, std::vector<std::byte> stub, core::byte_order order,
                    responder answer) {
        auto arguments = Operation::decode_request(stub, order, call.transfer_syntax());
        if (!arguments) return answer.fault(rpc_status::nca_fault_ndr);
        if constexpr (detail::takes_all<Function, typename Operation::request>::value)
            detail::serve_returning<Operation>(shared, call, std::move(*arguments),
                                               std::move(answer));
        else
            detail::serve_callback<Operation>(*shared, call, std::move(*arguments),
                                              std::move(answer));
    };
}

} // namespace rpch::inline RPCH_ABI

#endif
