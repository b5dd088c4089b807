// The client facade: connect to a service by its string binding, call its operations.
#ifndef RPCH_CLIENT_CLIENT_HPP
#define RPCH_CLIENT_CLIENT_HPP

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <rpch/client/association.hpp>
#include <rpch/client/client_options.hpp>
#include <rpch/client/completion.hpp>
#include <rpch/client/session.hpp>
#include <rpch/failure.hpp>
#include <rpch/ndr/operation.hpp>
#include <rpch/result.hpp>

#include <asio/associated_cancellation_slot.hpp>
#include <asio/async_result.hpp>
#include <asio/awaitable.hpp>
#include <asio/cancellation_type.hpp>
#include <asio/system_executor.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>

namespace rpch::inline RPCH_ABI {

/// The stub data of a response, with the byte order of its integers.
using raw_response = detail::raw_answer;

namespace detail {

/// Runs a command on the session's strand, in place if the caller is on it.
template <class Command>
void on_strand(const std::shared_ptr<association>& session, Command&& command) {
    asio::dispatch(session->on(), std::forward<Command>(command));
}

/// Connects a handler's cancellation slot with the call it will be told of: any kind of
/// cancellation sends a co_cancel. @return null if the handler has no slot.
template <class Handler>
std::shared_ptr<call_ticket> ticket_for(const Handler& handler,
                                        const std::shared_ptr<association>& session) {
    auto slot = asio::get_associated_cancellation_slot(handler);
    if (!slot.is_connected()) return nullptr;
    auto ticket = std::make_shared<call_ticket>();
    slot.assign([ticket, on = session->on()](asio::cancellation_type) {
        asio::dispatch(on, [ticket] {
            ticket->is_cancelled = true;
            if (const auto has_it = ticket->session.lock()) has_it->cancel(ticket->call_id);
        });
    });
    return ticket;
}

/// @return a failure as a handler wants it: whole, or its code.
template <class First>
First told_as(failure why) {
    if constexpr (std::is_same_v<First, failure>)
        return why;
    else
        return why.code;
}

/// How a raw completion becomes a handler's arguments: `void(First, R)` or `void(First)`.
template <class Operation, class First>
struct decode_answer {
    ndr::transfer_syntax syntax = ndr::transfer_syntax::ndr20;

    template <class Handler>
    void operator()(Handler& handler, const failure& why, raw_answer answer) const {
        using value_type = typename Operation::result_type;
        failure outcome = why;
        if constexpr (std::is_void_v<value_type>) {
            if (!outcome)
                outcome = failure_of(Operation::decode_response(answer.stub, answer.order, syntax));
            handler(told_as<First>(std::move(outcome)));
        } else {
            value_type value{};
            if (!outcome) {
                auto decoded = Operation::decode_response(answer.stub, answer.order, syntax);
                outcome = failure_of(decoded);
                if (decoded) value = std::move(*decoded);
            }
            handler(told_as<First>(std::move(outcome)), std::move(value));
        }
    }

  private:
    template <class T>
    static failure failure_of(const result<T>& decoded) {
        failure out;
        if (!decoded) {
            out.code = decoded.error();
            out.said_by = origin::local;
            out.detail = "the response's stub data does not decode";
        }
        return out;
    }
};

template <class First, class R>
struct call_signature {
    using type = void(First, R);
};
template <class First>
struct call_signature<First, void> {
    using type = void(First);
};

} // namespace detail

/// A connection to a server; cheap to copy, all copies are the same connection, which ends with the
/// last of them. Safe to use from several threads. Lives on its own strand of the executor.
class client {
  public:
    client() = default;

    /// Begins to open a connection: `ncacn_http:SERVER[PORT,RpcProxy=HOST:PORT]` or
    /// `ncacn_ip_tcp:SERVER[PORT]`. Does not wait: `async_bind` tells how it went.
    ///
    /// Without PORT the first `async_bind` asks the endpoint mapper of SERVER, by the same way and
    /// with the same HTTP credentials, for a port of its interface; the connection goes there, for
    /// other interfaces, too. The mapper is asked without `rpc_security`. Of the answer only the
    /// port is used: nobody vouches for it, and the address in it is that of an interface of the
    /// server, which need not be one that this client, or the proxy, can reach.
    /// @param options  `executor` must be set.
    /// @param why      receives the explanation of an error.
    /// @errors errc::bad_binding, errc::bad_setting, errc::not_supported,
    /// errc::http_auth_needs_tls,
    ///         errc::bad_credentials, and what tls_context::make_client says.
    static result<client> start(std::string_view binding, client_options options, failure& why) {
        if (!options.executor) {
            why.code = errc::bad_setting;
            why.detail = "client_options::executor is not set";
            return fail(why.code);
        }
        const auto parsed = dcerpc::parse_string_binding(binding, &why.detail);
        if (!parsed) {
            why.code = parsed.error();
            why.detail = std::string(binding) + ": " + why.detail;
            return fail(parsed.error());
        }
        const transport::executor on = *options.executor;
        auto made = detail::association::make(*parsed, std::move(options), on, why);
        if (!made) return fail(made.error());
        client out;
        out.handle_ = std::make_shared<handle>(std::move(*made));
        detail::on_strand(out.handle_->session, [s = out.handle_->session] { s->open(); });
        return out;
    }

    /// Asks the server for an interface. Completes when the server has answered, or the connection
    /// could not be opened.
    /// @par Handler  void(First why, std::uint16_t context), First being std::error_code, or
    ///               `rpch::failure` when named explicitly.
    template <class First = std::error_code, class Token>
    auto async_bind(const interface_id& id, Token&& token) {
        return bind_as<First, std::uint16_t>(
            id, [](const bound_context& bound) { return bound.context; },
            std::forward<Token>(token));
    }

    /// The same, completing with the transfer syntax of the context as well.
    /// @par Handler  void(First why, bound_context).
    template <class First = std::error_code, class Token>
    auto async_bind_syntax(const interface_id& id, Token&& token) {
        return bind_as<First, bound_context>(
            id, [](const bound_context& bound) { return bound; }, std::forward<Token>(token));
    }

    /// Calls an operation in its raw form.
    /// @param context  as `async_bind` gave it.
    /// @param stub     NDR stub data of the request, little-endian; owned from here on.
    /// @par Handler  void(First why, raw_response). A fault of the server is an error of the
    ///               category rpc_status.
    /// @par Cancellation  Any kind asks the server to stop the call (co_cancel); it completes with
    ///               what the server answers, or with errc::call_cancelled if it was not sent yet
    ///               or the server has not answered within client_options::cancel_wait.
    template <class First = std::error_code, class Token>
    auto async_call_raw(std::uint16_t context, std::uint16_t opnum, std::vector<std::byte> stub,
                        Token&& token) {
        return async_call_raw<First>(context, opnum, std::move(stub), call_parameters{},
                                     std::forward<Token>(token));
    }
    /// The same with parameters of the call.
    template <class First = std::error_code, class Token>
    auto async_call_raw(std::uint16_t context, std::uint16_t opnum, std::vector<std::byte> stub,
                        const call_parameters& parameters, Token&& token) {
        return asio::async_initiate<Token, void(First, raw_response)>(
            [session = session(), context, opnum, parameters](auto handler,
                                                              std::vector<std::byte> bytes) {
                auto ticket = detail::ticket_for(handler, session);
                auto done = detail::make_completion(
                    std::move(handler),
                    [](auto& h, const failure& why, detail::raw_answer answer) {
                        h(detail::told_as<First>(why), std::move(answer));
                    },
                    session->on());
                submit(session, {context, opnum, parameters, std::move(ticket)}, std::move(bytes),
                       std::move(done));
            },
            token, std::move(stub));
    }

    /// Ends the connection: everything that waits fails with errc::operation_aborted. Thread-safe.
    void close() {
        if (handle_) detail::on_strand(handle_->session, [s = handle_->session] { s->close(); });
    }
    [[nodiscard]] explicit operator bool() const noexcept { return handle_ != nullptr; }
    /// @return the latest failure of the connection or one of its calls. On the strand only.
    [[nodiscard]] failure last_failure() const {
        return handle_ ? handle_->session->last_failure() : failure{};
    }
    /// @return connections of the client that have not ended. On the strand only.
    [[nodiscard]] std::size_t connections() const noexcept {
        return handle_ ? handle_->session->connections() : 0;
    }
    /// @return the association group at the server, for client_options::association_group of
    /// another
    ///         client; its id is 0 before the first bind was answered. On the strand only.
    [[nodiscard]] rpch::association_group association_group() const noexcept {
        return handle_ ? handle_->session->group() : rpch::association_group{};
    }
    /// @return the strand everything of this connection runs on; handlers that live there cost
    /// least.
    [[nodiscard]] const transport::strand& get_strand() const noexcept {
        return handle_->session->on();
    }

    /// For `service`: makes a call with a completion of its own.
    static void submit(const std::shared_ptr<detail::association>& session,
                       const detail::call_request& request, std::vector<std::byte> stub,
                       detail::completion_ptr done) {
        if (session->on().running_in_this_thread()) {
            session->call(request, std::move(stub), std::move(done));
            return;
        }
        asio::dispatch(session->on(), [session, request, stub = std::move(stub),
                                       done = std::move(done)]() mutable {
            session->call(request, std::move(stub), std::move(done));
        });
    }
    [[nodiscard]] const std::shared_ptr<detail::association>& session() const {
        return handle_->session;
    }

  private:
    /// Binds, and completes with what `choose` takes of the context.
    template <class First, class Answer, class Choose, class Token>
    auto bind_as(const interface_id& id, Choose choose, Token&& token) {
        return asio::async_initiate<Token, void(First, Answer)>(
            [session = session(), id, choose](auto handler) {
                auto context = std::make_shared<bound_context>();
                auto done = detail::make_completion(
                    std::move(handler),
                    [context, choose](auto& h, const failure& why, detail::raw_answer) {
                        h(detail::told_as<First>(why), choose(*context));
                    },
                    session->on());
                detail::on_strand(session,
                                  [session, id, context, done = std::move(done)]() mutable {
                                      session->bind(id, std::move(context), std::move(done));
                                  });
            },
            token);
    }

    /// Closes the session when the last copy of the client goes.
    struct handle {
        explicit handle(std::shared_ptr<detail::association> s) : session(std::move(s)) {}
        handle(const handle&) = delete;
        handle& operator=(const handle&) = delete;
        ~handle() {
            asio::dispatch(session->on(), [s = session] { s->close(); });
        }
        std::shared_ptr<detail::association> session;
    };
    std::shared_ptr<handle> handle_;
};

/// A service at a server: the typed form of `client` for one interface.
template <class Service>
class service {
  public:
    service() = default;
    /// @param syntax  that of the context, see client_options::transfer_syntaxes.
    service(client connection, std::uint16_t context,
            ndr::transfer_syntax syntax = ndr::transfer_syntax::ndr20) noexcept
        : client_(std::move(connection)), context_(context), syntax_(syntax) {}

    /// Calls an operation: `co_await s.call<calculator::add_one>(41)`.
    /// GCC 12 destroys an aggregate made by braces within a co_await expression twice: give such a
    /// parameter a name of its own in front.
    /// @throws rpc_error with everything known about the failure.
    template <class Operation, class... Args>
    requires(sizeof...(Args) == std::tuple_size_v<typename Operation::request>)
        asio::awaitable<typename Operation::result_type> call(Args... args) {
        if constexpr (std::is_void_v<typename Operation::result_type>) {
            failure why =
                co_await initiate<Operation, failure>(asio::use_awaitable, std::move(args)...);
            if (why) throw rpc_error(std::move(why));
        } else {
            auto outcome =
                co_await initiate<Operation, failure>(asio::use_awaitable, std::move(args)...);
            if (std::get<0>(outcome)) throw rpc_error(std::move(std::get<0>(outcome)));
            co_return std::get<1>(std::move(outcome));
        }
    }

    /// Calls an operation with any completion token behind its parameters.
    /// @par Handler  void(std::error_code, R), or void(std::error_code) if the operation returns
    ///               nothing; R must be default-constructible.
    template <class Operation, class... ArgsAndToken>
    requires(sizeof...(ArgsAndToken) == std::tuple_size_v<typename Operation::request> +
                                            1) auto call(ArgsAndToken&&... args_and_token) {
        return with_token_last<Operation>(
            std::forward_as_tuple(std::forward<ArgsAndToken>(args_and_token)...),
            std::make_index_sequence<sizeof...(ArgsAndToken) - 1>{});
    }

    /// @return the same service on the same connection, whose calls are made with `parameters`:
    ///         `co_await s.with(p).call<op>(x)`.
    [[nodiscard]] service with(const call_parameters& parameters) const {
        service out = *this;
        out.parameters_ = parameters;
        return out;
    }

    [[nodiscard]] client& connection() noexcept { return client_; }
    [[nodiscard]] std::uint16_t context() const noexcept { return context_; }
    [[nodiscard]] ndr::transfer_syntax transfer_syntax() const noexcept { return syntax_; }

  private:
    template <class Operation, class Tuple, std::size_t... I>
    auto with_token_last(Tuple all, std::index_sequence<I...>) {
        return initiate<Operation, std::error_code>(std::get<sizeof...(I)>(std::move(all)),
                                                    std::get<I>(std::move(all))...);
    }

    template <class Operation, class First, class Token, class... Args>
    auto initiate(Token&& token, Args&&... args) {
        using value_type = typename Operation::result_type;
        using signature = typename detail::call_signature<First, value_type>::type;
        auto stub = Operation::encode_request(syntax_, std::forward<Args>(args)...);
        return asio::async_initiate<Token, signature>(
            [session = client_.session(), context = context_, parameters = parameters_,
             syntax = syntax_](auto handler, result<std::vector<std::byte>> encoded) {
                auto ticket = detail::ticket_for(handler, session);
                auto done = detail::make_completion(std::move(handler),
                                                    detail::decode_answer<Operation, First>{syntax},
                                                    session->on());
                if (!encoded) {
                    failure why;
                    why.code = encoded.error();
                    why.detail = "a parameter breaks a rule of its NDR type";
                    why.did_not_execute = true;
                    return done->complete_later(why);
                }
                client::submit(session, {context, Operation::opnum, parameters, std::move(ticket)},
                               std::move(*encoded), std::move(done));
            },
            token, std::move(stub));
    }

    client client_;
    call_parameters parameters_{};
    std::uint16_t context_ = 0;
    ndr::transfer_syntax syntax_ = ndr::transfer_syntax::ndr20;
};

/// Connects to a service: opens the connection and binds its interface.
/// @param options  without an executor, the coroutine's is taken.
/// @throws rpc_error with everything known about the failure.
template <class Service>
asio::awaitable<service<Service>> connect(std::string binding, client_options options = {}) {
    if (!options.executor) {
        const transport::executor here = co_await asio::this_coro::executor;
        options.executor = here;
    }
    failure why;
    auto started = client::start(binding, std::move(options), why);
    if (!started) {
        if (!why.code) why.code = started.error();
        throw rpc_error(std::move(why));
    }
    client connection = std::move(*started);
    const interface_id id = Service::id;
    auto outcome = co_await connection.async_bind_syntax<failure>(id, asio::use_awaitable);
    if (std::get<0>(outcome)) throw rpc_error(std::move(std::get<0>(outcome)));
    const auto bound = std::get<1>(outcome);
    co_return service<Service>(std::move(connection), bound.context, bound.syntax);
}

/// The same with any completion token.
/// @par Handler  void(std::error_code, service<Service>).
template <class Service, class Token>
auto async_connect(std::string binding, client_options options, Token&& token) {
    return asio::async_initiate<Token, void(std::error_code, service<Service>)>(
        [](auto handler, std::string where, client_options with) {
            auto on = asio::get_associated_executor(handler);
            if constexpr (!std::is_same_v<decltype(on), asio::system_executor>)
                if (!with.executor) with.executor = transport::executor(on);
            failure why;
            auto started = client::start(where, std::move(with), why);
            if (!started) {
                const std::error_code ec = why.code ? why.code : started.error();
                asio::post(on, [handler = std::move(handler), ec]() mutable {
                    handler(ec, service<Service>{});
                });
                return;
            }
            client connection = std::move(*started);
            auto context = std::make_shared<bound_context>();
            const auto session = connection.session();
            auto done = detail::make_completion(
                std::move(handler),
                [connection, context](auto& h, const failure& f, detail::raw_answer) {
                    h(f.code, f ? service<Service>{}
                                : service<Service>(connection, context->context, context->syntax));
                },
                session->on());
            detail::on_strand(session, [session, context, done = std::move(done)]() mutable {
                session->bind(Service::id, std::move(context), std::move(done));
            });
        },
        token, std::move(binding), std::move(options));
}

} // namespace rpch::inline RPCH_ABI

#include <rpch/client/connections.hpp>

#endif
