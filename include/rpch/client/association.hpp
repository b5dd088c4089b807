// The connections of a client to one server: one association group, [C706] 9.5.1, which opens
// further ones under load as [MS-RPCE] 3.3.1 allows.
#ifndef RPCH_CLIENT_ASSOCIATION_HPP
#define RPCH_CLIENT_ASSOCIATION_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include <rpch/client/session.hpp>
#include <rpch/core/uuid.hpp>
#include <rpch/dcerpc/string_binding.hpp>
#include <rpch/failure.hpp>
#include <rpch/result.hpp>
#include <rpch/transport/executor.hpp>

namespace rpch::inline RPCH_ABI::detail {

/// Binds interfaces and makes calls on one to `client_options::connections_max` connections, which
/// share one strand. A context has the same number on all of them, because all bind the same
/// interfaces in the same order. On the strand, but for `make` and `on`. Entered again from within
/// handlers, as the sessions are.
///
/// A connection that the server asks to close ([C706] 12.6.4.11) is given no further call and does
/// not count; when it was the only one, the next call opens another. It joins the group while the
/// old connection still has calls, and begins a new one afterwards.
class association : public std::enable_shared_from_this<association> {
  public:
    /// Makes the first connection; not opened yet.
    /// @errors what make_session says; `why` explains.
    [[nodiscard]] static RPCH_DECL result<std::shared_ptr<association>>
    make(const dcerpc::string_binding& binding, client_options options,
         const transport::executor& on, failure& why);
    association(const association&) = delete;
    association& operator=(const association&) = delete;
    ~association();

    void open();
    /// Ends all connections: everything that waits fails with errc::operation_aborted.
    void close();

    /// Asks for an interface on all connections; completes with the answer of the first that is
    /// open, its context in `context_out`.
    void bind(const interface_id& id, std::shared_ptr<bound_context> context_out,
              completion_ptr done);
    /// Makes a call on the connection with the fewest pending calls, among those where its context
    /// is ready. Takes the handler, and completes it exactly once. An idempotent call whose
    /// connection is lost is made once more, on another connection.
    void call(const call_request& request, std::vector<std::byte> stub, completion_ptr done);

    /// @return the strand of all connections.
    [[nodiscard]] const transport::strand& on() const noexcept { return group_.context->on; }
    /// @return the latest failure that is known, of a connection or of one of its calls.
    [[nodiscard]] const failure& last_failure() const noexcept;
    /// @return connections that have not ended.
    [[nodiscard]] std::size_t connections() const noexcept;
    /// @return the association group at the server; its id is 0 before the first bind was answered.
    [[nodiscard]] association_group group() const noexcept;

  private:
    class bind_watch;
    class repeatable;
    /// One connection and what is known of the interfaces it bound, in their order.
    struct member {
        std::shared_ptr<client_session> session;
        std::vector<bool> ready{};
        std::size_t waits_for = 0; ///< Contexts that were asked for and not answered.
        bool is_first = false; ///< Of the client: its calls wait for its contexts where they must.
    };

    association(const dcerpc::string_binding& binding, client_options options,
                const transport::executor& on);
    void drop_ended();
    bool bind_at(const std::shared_ptr<client_session>& where, std::uint16_t number,
                 const interface_id& id, std::shared_ptr<bound_context> context_out,
                 completion_ptr done);
    [[nodiscard]] member* find(const client_session* session) noexcept;
    [[nodiscard]] static bool takes_calls(const member& m) noexcept;
    [[nodiscard]] std::size_t taking_calls() const noexcept;
    void hold_group();
    void on_bound(const client_session* at, std::uint16_t context, const failure& why);
    [[nodiscard]] member& best_for(std::size_t interface);
    void call_at(std::shared_ptr<client_session> session, const call_request& request,
                 std::vector<std::byte> stub, completion_ptr done);
    void call_again(const call_request& request, std::vector<std::byte> stub, completion_ptr done);
    [[nodiscard]] bool may_open_anew(const call_parameters& call);
    void open_further_if_busy();
    void open_further();
    [[nodiscard]] bool is_busy() const;

    dcerpc::string_binding binding_;
    client_options options_;
    std::size_t contexts_per_bind_; ///< One for each transfer syntax.
    session_group group_;
    std::vector<interface_id> interfaces_; ///< Their contexts follow one another.
    std::vector<member> members_;          ///< Never empty: the last that ended stays to say why.
    failure last_failure_;                 ///< Of those that are no members any more.
    transport::time_point not_before_{};   ///< The next attempt at a further connection.
    bool is_closed_ = false;
    bool was_proven_ = false;           ///< The server took the client, before it was lost.
    bool is_joined_group_gone_ = false; ///< client_options::association_group, after it was joined.
};

} // namespace rpch::inline RPCH_ABI::detail

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/client/impl/association.ipp>
#endif

#endif
