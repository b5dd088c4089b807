// One connection of a client to a server: contexts, calls, and what became of them.
#ifndef RPCH_CLIENT_SESSION_HPP
#define RPCH_CLIENT_SESSION_HPP

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <utility>
#include <vector>

#include <rpch/channel/client.hpp>
#include <rpch/client/client_options.hpp>
#include <rpch/client/completion.hpp>
#include <rpch/core/split_view.hpp>
#include <rpch/dcerpc/client_association.hpp>
#include <rpch/dcerpc/string_binding.hpp>
#include <rpch/failure.hpp>
#include <rpch/transport/channel_driver.hpp>
#include <rpch/transport/context_member.hpp>

namespace rpch::inline RPCH_ABI::detail {

class client_session;

/// Leads from a cancellation signal to a call. On the strand.
struct call_ticket {
    std::weak_ptr<client_session> session{}; ///< That has the call; empty before it was made.
    std::uint32_t call_id = 0;
    bool is_cancelled = false;
};

/// A call as the upper layer asks for it.
struct call_request {
    std::uint16_t context = 0;
    std::uint16_t opnum = 0;
    call_parameters parameters{};
    std::shared_ptr<call_ticket> ticket{}; ///< Null if nobody can cancel it.
};

class endpoint_resolver;

/// What the two kinds of connection have in common: the association and the handlers that wait for
/// it. On the client's strand. Handlers run in place where they can, so every function may be
/// entered again from within `complete`: state is settled before a handler is called.
class client_session : public transport::context_member {
  public:
    client_session(std::shared_ptr<transport::strand_context> context, client_options options);
    ~client_session() override = default;
    client_session(const client_session&) = delete;
    client_session& operator=(const client_session&) = delete;

    /// The RPC server's name in the binding, for the principal name of security providers.
    void set_server(std::string host) { server_host_ = std::move(host); }
    /// The object UUID of the binding, which goes with every call that names none itself.
    void set_object(const std::optional<uuid>& object) { object_ = object; }
    /// Opens the connection; what waits for it is told through `bind` and `call`.
    virtual void open() = 0;
    /// Opens the connection, or leaves that to the first bind if the endpoint is not known: the
    /// endpoint mapper wants to know the interface.
    void begin() {
        if (!resolver_) open();
    }
    /// The endpoint is to be asked for; before `begin`.
    void resolve_by(std::shared_ptr<endpoint_resolver> resolver) {
        resolver_ = std::move(resolver);
    }
    /// Ends the connection: everything that waits fails with errc::operation_aborted.
    virtual void close() = 0;
    [[nodiscard]] virtual std::shared_ptr<client_session> shared_session() = 0;

    /// Asks for an interface; completes with its context in `context_out`.
    /// @return the number of its first context, one of each transfer syntax follow one another;
    ///         nothing if it has failed already.
    std::optional<std::uint16_t>
    bind(const interface_id& id, std::shared_ptr<bound_context> context_out, completion_ptr done);
    /// Makes a call. Takes the handler, and completes it exactly once.
    /// @return the call id to cancel it by; 0 if it has failed already.
    std::uint32_t call(const call_request& request, std::vector<std::byte> stub,
                       completion_ptr done);
    /// Asks the server to stop a call; given up after client_options::cancel_wait.
    void cancel(std::uint32_t call_id);

    /// Drops what waits: handlers may own the client, and with it this session.
    void on_context_shutdown() override;

    [[nodiscard]] const failure& last_failure() const noexcept { return last_failure_; }
    [[nodiscard]] const transport::strand& on() const noexcept { return context_->on; }
    [[nodiscard]] const dcerpc::client_association& rpc() const noexcept { return association_; }
    /// @return calls that wait for an answer.
    [[nodiscard]] std::size_t pending_calls() const noexcept { return calls_.size(); }
    [[nodiscard]] bool is_ended() const noexcept { return static_cast<bool>(ended_); }
    /// @return whether the server has taken the client as `who`: it has accepted the bind or, where
    /// a security context may yet turn out to be refused, answered a call of that one.
    [[nodiscard]] bool is_proven(const std::shared_ptr<const call_identity>& who) const noexcept;
    /// @return whether the server has asked to close the connection, [C706] 12.6.4.11: it takes no
    /// further calls, and ends when what waits on it is done.
    [[nodiscard]] bool is_leaving() const noexcept { return leaving_; }
    /// Whether a connection that is leaving stays open until it is told otherwise.
    void keep_open(bool wanted) {
        keeps_open_ = wanted;
        if (leaving_ && !wanted) kick_output();
    }

  protected:
    /// @return an error of the association for the application: who said it, and what to do.
    /// @param advice  of a security provider, where it is the one that has refused.
    [[nodiscard]] failure explain(std::error_code code, const char* detail, bool did_not_execute,
                                  std::string_view advice = {}) const;
    [[nodiscard]] std::string after_refused_bind(std::string_view detail) const;
    [[nodiscard]] std::string after_fault(std::error_code code, bool did_not_execute) const;
    /// @return whether a bind, or the handshake that came with it, waits for the server.
    [[nodiscard]] bool is_binding() const noexcept { return !contexts_.empty() || !bound_.empty(); }
    /// @return whether the server has asked to close the connection, and nothing stands against it.
    [[nodiscard]] bool may_leave() const noexcept {
        return leaving_ && !keeps_open_ && !ended_ && calls_.empty() && !is_binding() &&
               !association_.has_output();
    }
    /// @return what the end of the connection leaves unfinished, for people; empty if nothing.
    [[nodiscard]] std::string unfinished_calls() const;
    /// The port of the server has become known; before `open`.
    virtual void set_port(std::uint16_t port) = 0;
    /// Lets the connection send what the association has.
    virtual void kick_output() = 0;
    /// Takes one RPC PDU. @return the error that ends the connection.
    std::error_code on_rpc_pdu(const core::split_view& pdu);
    /// The connection has ended: everything that waits fails with `why`, once.
    void on_ended(failure why);

    std::shared_ptr<transport::strand_context> context_;
    client_options options_;
    dcerpc::client_association association_;

  private:
    void resolve(const interface_id& id);
    void on_resolved(const failure& why, std::uint16_t port);
    void process_events();
    std::error_code start_security();
    result<std::uint32_t> add_security(auth::security_initiator& by,
                                       auth::authentication_level level, const std::string& target,
                                       bool may_go_with_bind);
    result<std::uint32_t> security_for(const std::shared_ptr<const call_identity>& who);
    [[nodiscard]] std::optional<std::uint32_t>
    known_security(const std::shared_ptr<const call_identity>& who) const noexcept;
    void process(dcerpc::context_ready& event);
    void process(dcerpc::security_ready& event);
    void process(dcerpc::call_completed& event);
    void process(dcerpc::call_failed& event);
    void process(dcerpc::shutdown_requested&) { leaving_ = true; }

    /// The ids of calls by the time at which they are given up.
    using give_up_queue = std::multimap<transport::time_point, std::uint32_t>;
    struct waiting_call {
        completion_ptr done;
        std::uint32_t security = 0;
        std::optional<give_up_queue::iterator> gives_up{};
        bool is_cancelled = false; ///< By the caller.
    };
    waiting_call take(std::unordered_map<std::uint32_t, waiting_call>::iterator call);
    void give_up_at(std::uint32_t call_id, waiting_call& call, transport::time_point when);
    void arm_timer();
    void on_timer();

    /// The contexts that one bind asked for, one for each transfer syntax.
    struct waiting_bind {
        struct asked {
            bound_context what;
            std::optional<std::error_code> answer{}; ///< Nothing before it came.
            const char* detail = "";
        };
        std::vector<asked> contexts; ///< In order of preference.
        std::shared_ptr<bound_context> out;
        completion_ptr done;
    };
    void finish(waiting_bind& bound);
    std::unordered_map<std::uint16_t, std::shared_ptr<waiting_bind>> contexts_;
    std::unordered_map<std::uint32_t, waiting_call> calls_;
    give_up_queue give_up_;
    transport::timer timer_;
    std::optional<transport::time_point> timer_for_;
    dcerpc::client_event_list events_;
    std::vector<std::byte> contiguous_;
    std::vector<completion_ptr>
        bound_;                  ///< Contexts that are ready, before the security context is.
    std::uint32_t security_ = 0; ///< Of all calls; 0 without or before the first bind.
    bool is_secured_ = false;
    failure security_failure_; ///< Why it never will be.
    /// The security contexts of calls that are made as others; as many as the machine takes.
    std::vector<std::pair<std::shared_ptr<const call_identity>, std::uint32_t>> identities_;
    std::vector<bool> has_answered_; ///< A call of each security context, with a response.
    std::optional<uuid> object_;
    std::string server_host_;
    std::shared_ptr<endpoint_resolver> resolver_; // null as soon as the endpoint is known
    failure last_failure_;
    failure ended_;
    bool processing_ = false;
    bool leaving_ = false;    // the server has asked for it
    bool keeps_open_ = false; // even so
};

/// @return what is wrong with the numbers among the options, for people; null if nothing is.
[[nodiscard]] RPCH_DECL const char* check_options(const client_options& o) noexcept;

struct http_way;

/// What the connections of one association share.
struct session_group {
    std::shared_ptr<transport::strand_context> context;
    /// Over HTTP the AssociationGroupId of [MS-RPCH] 2.2.3.5.13, by which a server knows that two
    /// virtual connections are of one client. Made with the first connection, like `tls`.
    std::optional<rts::cookie> cookie{};
    std::shared_ptr<transport::tls_context> tls{};
    /// The HTTP proxy of the binding; null if it names none.
    std::shared_ptr<http_way> way{};
};

/// Makes the connection a binding asks for; not opened yet. One without an endpoint will ask the
/// endpoint mapper.
/// @param group  its context is set; the rest is filled by the first connection that needs it.
/// @errors errc::bad_binding, errc::not_supported, errc::bad_setting and what TLS says; `why`
/// explains.
[[nodiscard]] RPCH_DECL result<std::shared_ptr<client_session>>
make_session(const dcerpc::string_binding& binding, client_options options, session_group& group,
             failure& why);

} // namespace rpch::inline RPCH_ABI::detail

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/client/impl/session.ipp>
#endif

#endif
