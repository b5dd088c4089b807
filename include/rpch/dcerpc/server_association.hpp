// The server's end of one connection. [C706] 9.5, 12.6 and [MS-RPCE] 3.3.3. A machine without I/O:
// PDUs and answers go in, events and PDUs come out.
#ifndef RPCH_DCERPC_SERVER_ASSOCIATION_HPP
#define RPCH_DCERPC_SERVER_ASSOCIATION_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include <rpch/core/bytes.hpp>
#include <rpch/core/secret.hpp>
#include <rpch/core/uuid.hpp>
#include <rpch/dcerpc/association_groups.hpp>
#include <rpch/dcerpc/association_options.hpp>
#include <rpch/dcerpc/bind_pdu.hpp>
#include <rpch/dcerpc/call_pdu.hpp>
#include <rpch/dcerpc/detail/call_table.hpp>
#include <rpch/dcerpc/detail/control_queue.hpp>
#include <rpch/dcerpc/detail/fifo.hpp>
#include <rpch/dcerpc/detail/held_stubs.hpp>
#include <rpch/dcerpc/detail/reassembly.hpp>
#include <rpch/dcerpc/detail/security.hpp>
#include <rpch/dcerpc/stub_budget.hpp>
#include <rpch/error.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::dcerpc {

/// What a security context proved, for the calls made in it. Shared with the handlers of calls that
/// outlive the connection.
struct call_security {
    auth::security_provider provider = auth::security_provider::none;
    auth::authentication_level level = auth::authentication_level::none;
    auth::peer_identity peer{};
    core::secret session_key{}; ///< For interfaces that encrypt secrets with it, [MS-SAMR].
};

/// A whole request. Answer it with respond() or fault(), whenever and in whatever order.
struct call_received {
    std::uint32_t call_id = 0;
    std::size_t interface = 0; ///< Index into the offered interfaces.
    std::uint16_t opnum = 0;   ///< Not checked: the machine does not know the operations.
    std::optional<uuid> object{};
    interface_id transfer_syntax{};                    ///< Of the stub data, and of the answer's.
    core::byte_order order = core::byte_order::little; ///< Of the integers in `stub`.
    bool maybe = false; ///< No answer is wanted; respond() must be called all the same.
    std::shared_ptr<const call_security> security{}; ///< Null for a call without.
    std::vector<std::byte> stub{};
};
/// The client asks to stop a call that was received; answer it as before, or with
/// rpc_status::nca_fault_cancel.
struct call_cancelled {
    std::uint32_t call_id = 0;
};
/// The client gave a call up; its answer will be dropped but must still be given.
struct call_orphaned {
    std::uint32_t call_id = 0;
};

using server_event = std::variant<call_received, call_cancelled, call_orphaned>;
using server_event_list = std::vector<server_event>;

/// An interface that the server offers, with its transfer syntaxes in order of preference; none
/// means NDR 2.0 alone.
struct offered_interface {
    interface_id id{};
    std::vector<interface_id> transfer_syntaxes{};
    /// Calls below this level are refused with access_denied, unexecuted; call: packet is used in
    /// its place.
    auth::authentication_level minimum_level = auth::authentication_level::none;
    /// Stub bytes of its calls: those of a request until the request is whole and was received,
    /// those of an answer until all of it is written. A request that finds no room is refused with
    /// nca_server_too_busy, unexecuted, with the fragment that does not fit. Null: no such bound.
    std::shared_ptr<stub_budget> budget{};
};

struct server_association_options {
    association_limits limits{};
    /// The address for further connections of the group: for both protocol sequences, the TCP port
    /// in decimal, [MS-RPCE] 2.2.2.
    std::string secondary_address{};
    /// Features we agree to when a client offers them, [MS-RPCE] 3.3.1.5.3.
    std::uint8_t features =
        bind_feature::keep_connection_on_orphan | bind_feature::security_context_multiplexing;
    /// The security providers that clients may use; empty for none. One of each kind.
    std::vector<std::shared_ptr<auth::security_acceptor>> security{};
    /// Agrees to header signing, [MS-RPCE] 3.3.1.5.2.2.
    bool header_signing = true;
    /// Refuses signed calls of clients that do not sign headers.
    bool require_header_signing = false;
};

/// The server machine of one connection. See client_association for the loop around it and for the
/// order of output.
///
/// When on_pdu() returns an error, has_output() may still tell of one PDU for the peer, a bind_nak
/// or a fault: send it if that is easy, then close the connection.
class server_association {
  public:
    /// @param offered  borrowed; must outlive the machine, or until nothing more is received.
    /// @param groups   borrowed; must outlive the machine.
    server_association(std::span<const offered_interface> offered, association_groups& groups,
                       const server_association_options& options = {});
    ~server_association();
    server_association(const server_association&) = delete;
    server_association& operator=(const server_association&) = delete;

    // Commands.

    /// Tells where the connection comes from, see association_groups::join(). Before the bind.
    void set_origin(std::string from) { origin_ = std::move(from); }
    /// Changes server_association_options::secondary_address. Before the bind.
    void set_secondary_address(std::string address) {
        options_.secondary_address = std::move(address);
    }
    /// Answers a call.
    /// @param stub  owned from here on; little-endian data.
    /// @errors errc::bad_call_id if no such call waits for an answer; errc::too_large above
    ///         call_bytes_max, and the client gets a fault; the closing error once closed.
    std::error_code respond(std::uint32_t call_id, std::vector<std::byte> stub);
    /// Answers a call with a fault.
    /// @param status  what must not be reported (may_be_reported()) is sent as nca_fault_unspec.
    /// @param did_not_execute  tells the client that it may repeat the call.
    /// @errors as respond().
    std::error_code fault(std::uint32_t call_id, rpc_status status, bool did_not_execute = false);
    /// Asks the client to close the connection when it is idle.
    void request_shutdown();
    /// Ends the machine: what waits to be sent is dropped, answers are refused from now on.
    void close(std::error_code why);

    // Input.

    /// Takes one whole PDU.
    /// @param pdu  borrowed; contiguous, frag_length bytes.
    /// @param out  appended to.
    /// @return nothing, or the error that closed the machine.
    std::error_code on_pdu(byte_view pdu, server_event_list& out);

    // Output.

    [[nodiscard]] bool has_output() const noexcept;
    /// @return the bytes that the next write_output() needs; 0 without output.
    [[nodiscard]] std::size_t next_output_size() const noexcept;
    /// Writes exactly one whole PDU.
    /// @return its size, next_output_size(); 0 if there is none or `out` is too small.
    std::size_t write_output(byte_span out);

    // State.

    [[nodiscard]] bool is_bound() const noexcept { return state_ == state::bound; }
    /// @return whether a security handshake has begun and is not finished.
    [[nodiscard]] bool is_securing() const noexcept { return handshake_ != nullptr; }
    /// @return whether a request has begun to arrive and is not whole.
    [[nodiscard]] bool is_receiving() const noexcept { return arriving_.has_value(); }
    [[nodiscard]] std::error_code closed_with() const noexcept { return closed_with_; }
    /// Calls that are being received, executed or answered.
    [[nodiscard]] std::size_t calls() const noexcept { return calls_.size(); }
    [[nodiscard]] std::uint32_t assoc_group_id() const noexcept { return assoc_group_id_; }
    /// Stub bytes of answers that wait to be written.
    [[nodiscard]] std::size_t answer_bytes() const noexcept { return answer_bytes_; }
    /// Bytes of the largest fragment we send, as negotiated.
    [[nodiscard]] std::size_t fragment_bytes() const noexcept { return xmit_frag_; }
    /// @return whether PDU headers of signed calls are signed.
    [[nodiscard]] bool signs_headers() const noexcept { return header_signing_; }
    /// @return why no PDU could be signed: there is no further output, and the owner closes the
    ///         machine with it; or nothing.
    [[nodiscard]] std::error_code output_error() const noexcept { return output_error_; }
    /// @return why a client was refused for its security since this was asked last, for a log; ""
    ///         if none was. Of calls below the level of their interface only the first counts.
    [[nodiscard]] std::string take_refusal() { return std::exchange(refusal_, {}); }

  private:
    enum class state : std::uint8_t { unbound, bound, closed };
    enum class security_state : std::uint8_t { begun, ready, failed };
    struct security_entry {
        detail::security_slot slot{};
        security_state at = security_state::begun;
        std::shared_ptr<const call_security> proved{};
        /// The contexts of the PDU that began it; later legs must not change them.
        std::vector<presentation_context> contexts{};
    };
    struct context {
        std::uint16_t id = 0;
        std::size_t interface = 0;
        interface_id transfer_syntax{};
    };
    /// What we offer that fits a presentation context.
    struct match {
        provider_reason reason = provider_reason::not_specified; ///< Why nothing does.
        std::size_t interface = SIZE_MAX;
        interface_id transfer_syntax{};
    };
    /// What became of a leg, and what a client that is refused is told: in a bind_nak or in a
    /// fault.
    struct leg {
        security_entry* entry = nullptr;
        std::vector<std::byte> token{}; ///< The answer.
        std::error_code error{};
        bind_reject_reason reason = bind_reject_reason::not_specified;
        rpc_status status = rpc_status::access_denied;
    };
    enum class call_state : std::uint8_t { receiving, executing, answering };
    struct call {
        std::uint32_t id = 0;
        call_state at = call_state::receiving;
        std::uint16_t context_id = 0;
        std::size_t interface = 0;
        std::uint16_t opnum = 0;
        std::optional<uuid> object{};
        interface_id transfer_syntax{};
        std::uint8_t cancels = 0; ///< That came since the request was whole.
        bool cancelled = false;   ///< One came before.
        bool maybe = false;
        bool orphaned = false;
        security_entry* security = nullptr; ///< Null for a call without; lives as the machine.
        detail::reassembly arguments{};
        detail::held_stubs held{}; ///< Of the bytes of `arguments`, later of `answer`.
        std::vector<std::byte> answer{};
        std::size_t sent = 0; ///< Bytes of `answer` that were written.
    };

    std::error_code dispatch(byte_view pdu, server_event_list& out);
    std::error_code on_bind(byte_view pdu, const common_header& h);
    std::error_code on_alter_context(byte_view pdu, const common_header& h);
    std::error_code on_auth3(byte_view pdu, const common_header& h);
    std::error_code on_request(byte_view pdu, const common_header& h, server_event_list& out);
    std::error_code refuse_mixed(const request& r);
    std::error_code refuse_stray(const request& r);
    [[nodiscard]] bool is_admitted(const request& r, const security_entry* s) const noexcept;
    std::error_code on_first_fragment(byte_view pdu, request& r, server_event_list& out);
    std::error_code take_fragment(call& c, const request& r, server_event_list& out);
    void refuse_unexecuted(const common_header& h, bool maybe, security_entry* s,
                           rpc_status status);
    std::error_code complete(call& c, const common_header& h, server_event_list& out);
    bool check_trailer(const call& c, core::byte_order order, std::vector<std::byte>& stub) const;
    leg take_leg(const sec_trailer& t, const bind& asked);
    std::error_code take_token(security_entry& s, byte_view token, std::vector<std::byte>& answer);
    std::error_code open(security_entry* s, byte_view pdu, request& r);
    [[nodiscard]] security_entry* find_security(std::uint32_t id) const noexcept;
    std::error_code on_notice(byte_view pdu, const common_header& h, server_event_list& out);
    void acknowledge(const bind& asked, const std::vector<match>& found, pdu_type type,
                     const leg& answered);
    [[nodiscard]] std::vector<match> find_matches(const bind& asked) const;
    [[nodiscard]] bool has_room(const bind& asked, const std::vector<match>& found) const;
    [[nodiscard]] std::vector<context_result> negotiate(const bind& asked,
                                                        const std::vector<match>& found);
    [[nodiscard]] context_result accept(const presentation_context& asked, const match& found);
    [[nodiscard]] match find_match(const presentation_context& asked) const noexcept;
    [[nodiscard]] bool contradicts(const bind& asked) const noexcept;
    std::error_code refuse_bind(const common_header& h, bind_reject_reason reason,
                                std::error_code why);
    std::error_code refuse(const common_header& h, std::uint16_t context_id, rpc_status status,
                           std::error_code why, bool did_not_execute = true);
    void queue_fault(std::uint32_t call_id, std::uint16_t context_id, rpc_status status,
                     bool did_not_execute, std::uint8_t cancels);
    void end(std::error_code why);
    [[nodiscard]] response next_fragment(const call& c) const noexcept;
    [[nodiscard]] const context* find_context(std::uint16_t id) const noexcept;
    [[nodiscard]] result<call*> answerable(std::uint32_t call_id) noexcept;

    std::span<const offered_interface> offered_;
    association_groups& groups_; ///< Outlives this, as the constructor demands.
    server_association_options options_;
    state state_ = state::unbound;
    std::error_code closed_with_{};
    std::vector<context> contexts_{}; ///< By id: there may be thousands.
    detail::call_table<call> calls_{};
    detail::id_fifo ready_{}; ///< Calls whose answer may be sent, in order.
    detail::control_queue control_{};
    detail::reassembly_budget budget_;
    std::optional<std::uint32_t> arriving_{};     ///< The call whose fragments arrive.
    std::optional<std::uint32_t> refused_call_{}; ///< Its fragments are dropped up to the last one.
    security_entry* refused_security_ = nullptr;  ///< What they are signed with.
    std::vector<std::unique_ptr<security_entry>> security_{};
    security_entry* default_security_ = nullptr; ///< Of requests without a verifier.
    security_entry* handshake_ = nullptr;        ///< Has begun and is not finished.
    std::size_t failed_handshakes_ = 0;
    std::vector<std::byte> unsealed_{};
    std::size_t answer_bytes_ = 0;
    std::error_code output_error_{};
    std::string refusal_{};
    bool told_weak_ = false;
    std::uint32_t assoc_group_id_ = 0;
    std::string origin_{};
    std::uint16_t xmit_frag_;
    std::uint16_t recv_frag_;
    std::uint8_t features_ = 0; ///< That were agreed.
    bool multiplexed_ = false;
    bool header_signing_ = false;
};

} // namespace rpch::inline RPCH_ABI::dcerpc

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/dcerpc/impl/server_association.ipp>
    #include <rpch/dcerpc/impl/server_binding.ipp>
#endif

#endif
