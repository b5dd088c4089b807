// The client's end of one connection: presentation contexts, calls, fragments. [C706] 9.5, 12.6 and
// [MS-RPCE] 3.3.2. A machine without I/O: PDUs and commands go in, events and PDUs come out.
#ifndef RPCH_DCERPC_CLIENT_ASSOCIATION_HPP
#define RPCH_DCERPC_CLIENT_ASSOCIATION_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>
#include <variant>
#include <vector>

#include <rpch/core/bytes.hpp>
#include <rpch/core/uuid.hpp>
#include <rpch/dcerpc/association_options.hpp>
#include <rpch/dcerpc/bind_pdu.hpp>
#include <rpch/dcerpc/call_pdu.hpp>
#include <rpch/dcerpc/detail/call_table.hpp>
#include <rpch/dcerpc/detail/control_queue.hpp>
#include <rpch/dcerpc/detail/fifo.hpp>
#include <rpch/dcerpc/detail/reassembly.hpp>
#include <rpch/dcerpc/detail/security.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::dcerpc {

/// A presentation context was accepted, or refused with `error`.
struct context_ready {
    std::uint16_t context = 0; ///< As add_context() returned it.
    std::error_code
        error{}; ///< Nothing; errc::context_refused; errc::bind_refused; a fault's status.
    const char* detail = ""; ///< Who refused and why, in words of the specification; static.
};
/// A security context is established, or failed with `error`.
struct security_ready {
    std::uint32_t security = 0; ///< As add_security() returned it.
    std::error_code error{};
    const char* detail = ""; ///< Lives as long as the machine.
};
/// The answer of a call.
struct call_completed {
    std::uint32_t call_id = 0;
    core::byte_order order = core::byte_order::little; ///< Of the integers in `stub`.
    std::vector<std::byte> stub{};
};
/// A call that gets no answer.
struct call_failed {
    std::uint32_t call_id = 0;
    /// rpc_status of a fault; errc::call_cancelled; or what ended the connection.
    std::error_code error{};
    /// The server certainly did not run the call: it may be made again, elsewhere or later.
    bool did_not_execute = false;
    const char* detail = ""; ///< Lives as long as the machine.
};
/// The server asks to close the connection once it is idle; new calls are refused from now on.
struct shutdown_requested {};

using client_event =
    std::variant<context_ready, security_ready, call_completed, call_failed, shutdown_requested>;
using client_event_list = std::vector<client_event>;

/// What begin_call() is told beside the stub.
struct call_options {
    std::uint16_t context = 0; ///< As add_context() returned it.
    std::uint16_t opnum = 0;
    /// As add_security() returned it; 0 for a call without. PDUs of level connect carry nothing
    /// that tells whose they are: the server takes such a call for one of the context that went
    /// with the bind, whichever is named here.
    std::uint32_t security = 0;
    std::optional<uuid> object{};
    /// [maybe]: the server sends no answer and the machine reports nothing about the call.
    bool maybe = false;
};

struct client_association_options {
    association_limits limits{};
    std::uint32_t assoc_group_id = 0; ///< Of the association to join; 0 opens a new one.
    /// Adds the bind time feature negotiation to bind, [MS-RPCE] 3.3.1.5.3.
    bool negotiate_features = true;
    /// Offers header signing with the first security context whose mechanism can do it, [MS-RPCE]
    /// 3.3.1.5.2.2. A server that does not agree is told so in verification trailers, under their
    /// signature.
    bool header_signing = true;
    /// Ends the connection with errc::security_downgrade if the server does not sign headers.
    bool require_header_signing = false;
    /// Appends verification trailers to signed requests, [MS-RPCE] 2.2.2.13.
    bool verification_trailers = true;
};

/// A security context that a client wants.
struct security_request {
    auth::security_provider provider = auth::security_provider::none;
    /// Connect, packet, integrity or privacy; call: packet is used in its place,
    /// [MS-RPCE] 2.2.1.1.8.
    auth::authentication_level level = auth::authentication_level::privacy;
    std::unique_ptr<auth::security_context> context{}; ///< Fresh, a client's, for that level.
    /// The first one may go with the bind: servers then take calls that carry no verifier for calls
    /// of its user. False for one that shares the connection with calls of nobody.
    bool may_go_with_bind = true;
};

/// The client machine of one connection.
///
/// Loop of its owner: hand over each PDU with on_pdu(), act on the events, and while has_output(),
/// give next_output_size() bytes of space to write_output() and send them. Output is made when it
/// is asked for, so whoever stops asking has flow control. Not thread-safe.
///
/// Data fragments of one call leave without those of another between them: the specification allows
/// mixing only where concurrent multiplexing was agreed, several peers put fragments together in
/// order of arrival, and a mixed order wins no bandwidth. Control PDUs (alter_context, co_cancel)
/// go first.
class client_association {
  public:
    explicit client_association(const client_association_options& options = {});

    // Commands.

    /// Asks for an interface; answered by one context_ready. The first call makes a bind, later
    /// ones an alter_context; contexts added before the PDU is written share it.
    /// @return the context's number for begin_call().
    /// @errors errc::too_many above contexts_max; the closing error once closed.
    [[nodiscard]] result<std::uint16_t> add_context(const interface_id& interface,
                                                    const interface_id& transfer_syntax = ndr20);
    /// Asks for a security context; answered by one security_ready. The first goes with the bind
    /// if it may, later ones with an alter_context each; a mechanism of three legs ends with an
    /// auth3 ([MS-RPCE] 3.3.1.5.2). Its first token is made here.
    /// @return its number for begin_call(), which is its auth_context_id; never 0.
    /// @errors errc::bad_setting for the level none; what the mechanism says;
    ///         errc::security_not_supported for a second one where the server did not agree to
    ///         several (bind_feature::security_context_multiplexing); errc::too_many above
    ///         limits::client_security_contexts_max; the closing error once closed.
    [[nodiscard]] result<std::uint32_t> add_security(security_request request);
    /// @return why begin_call() would refuse the call, whatever its security: for who begins a
    /// security context for it. Nothing if it would not.
    [[nodiscard]] std::error_code refuses_call(const call_options& call,
                                               std::size_t stub_bytes) const noexcept;
    /// Starts a call; answered by exactly one call_completed or call_failed, unless it is a maybe
    /// call. It waits for its contexts where they are not ready yet. On error nothing is kept.
    /// @param stub  owned from here on; sent as little-endian data.
    /// @return the call_id, unique among the calls of this connection that are not finished.
    /// @errors errc::bad_context_id, for an unknown `security` too; errc::context_refused;
    ///         errc::authentication_failed if the security context failed; errc::too_many above
    ///         calls_max;
    ///         errc::too_large above call_bytes_max; errc::association_closed after
    ///         shutdown_requested; the closing error once closed.
    [[nodiscard]] result<std::uint32_t> begin_call(const call_options& call,
                                                   std::vector<std::byte> stub);
    /// Asks the server to stop a call. A call of which nothing was sent fails at once with
    /// errc::call_cancelled and did_not_execute; any other goes on until the server answers it,
    /// with a result or with a fault. Unknown and finished calls are ignored.
    void cancel(std::uint32_t call_id, client_event_list& out);
    /// Gives a call up: it fails at once with errc::call_cancelled, and what still arrives for it
    /// is dropped. The server is told by an orphaned where it agreed to keep the connection after
    /// one
    /// ([MS-RPCE] 3.3.1.5.10), otherwise by a co_cancel.
    void abandon(std::uint32_t call_id, client_event_list& out);
    /// Ends the machine: every context and call that waits fails exactly once with `why`. Later
    /// calls of any function return `why` or do nothing.
    void close(std::error_code why, client_event_list& out);

    // Input.

    /// Takes one whole PDU.
    /// @param pdu  borrowed; contiguous, frag_length bytes.
    /// @param out  appended to.
    /// @return nothing, or the error that closed the machine; whatever waited has then failed in
    /// `out`.
    std::error_code on_pdu(byte_view pdu, client_event_list& out);

    // Output.

    [[nodiscard]] bool has_output() const noexcept;
    /// @return the bytes that the next write_output() needs; 0 without output.
    [[nodiscard]] std::size_t next_output_size() const;
    /// Writes exactly one whole PDU.
    /// @return its size, next_output_size(); 0 if there is none or `out` is too small.
    std::size_t write_output(byte_span out);
    /// @return why no PDU could be signed (a ticket has expired): there is no further output, and
    ///         the owner closes the machine with it; or nothing.
    [[nodiscard]] std::error_code output_error() const noexcept { return output_error_; }

    // State.

    [[nodiscard]] bool is_bound() const noexcept { return state_ == state::bound; }
    /// @return whether PDU headers are signed, once a security context is ready.
    [[nodiscard]] bool signs_headers() const noexcept { return header_signing_; }
    /// @return a security context that is ready, for its session key and peer; or null.
    [[nodiscard]] const auth::security_context* security(std::uint32_t id) const noexcept;
    /// @return the error that closed the machine, or nothing.
    [[nodiscard]] std::error_code closed_with() const noexcept { return closed_with_; }
    /// Calls that are not finished, those given up but not answered included.
    [[nodiscard]] std::size_t calls() const noexcept { return calls_.size(); }
    [[nodiscard]] bool is_multiplexed() const noexcept { return multiplexed_; }
    [[nodiscard]] std::uint32_t assoc_group_id() const noexcept { return assoc_group_id_; }
    /// The endpoint for further connections of the association group, as bind_ack told it.
    [[nodiscard]] const std::string& secondary_address() const noexcept {
        return secondary_address_;
    }
    /// @return why the machine closed, in words; "" if the error says it all. Borrowed.
    [[nodiscard]] const char* closed_detail() const noexcept { return closed_detail_; }
    /// @return why a security provider, or add_security() itself, refused last, in words; "" if
    /// nothing was said, or nothing was refused since the last on_pdu() or add_security() began.
    [[nodiscard]] const std::string& refusal() const noexcept { return refusal_; }
    /// @return what a person can do about that; "" if nothing is known.
    [[nodiscard]] const std::string& advice() const noexcept { return advice_; }
    /// Forgets both: whoever refuses next does so before add_security(), as an initiator that makes
    /// no context.
    void forget_refusal() noexcept {
        if (state_ == state::closed) return; // closed_detail() may be the same words
        refusal_.clear();
        advice_.clear();
    }
    /// Bytes of the largest fragment we send, as negotiated.
    [[nodiscard]] std::size_t fragment_bytes() const noexcept { return xmit_frag_; }

  private:
    enum class state : std::uint8_t { unbound, bound, closed };
    enum class context_state : std::uint8_t { queued, asked, ready, refused };
    struct context {
        interface_id interface {};
        interface_id transfer_syntax{};
        context_state at = context_state::queued;
        std::vector<std::uint32_t> waiting{}; ///< Calls that need this context, in order.
    };
    enum class security_state : std::uint8_t { queued, asked, ready, failed };
    struct security_entry {
        detail::security_slot slot{};
        security_state at = security_state::queued;
        std::vector<std::byte> token{}; ///< The next leg's.
        bool is_later_leg = false;      ///< The server has answered one.
        bool may_go_with_bind = true;
        bool told_header_signing = false;
        std::vector<std::uint16_t> told_contexts{}; ///< In verification trailers.
        [[nodiscard]] bool has_told(std::uint16_t number) const noexcept {
            return std::find(told_contexts.begin(), told_contexts.end(), number) !=
                   told_contexts.end();
        }
        /// The contexts of the first leg's PDU: those of later ones must be the same, Windows takes
        /// anything else for a protocol error.
        std::size_t first_context = 0;
        std::size_t context_count = 0;
        std::vector<std::uint32_t> waiting{}; ///< Calls that need this security, in order.
    };
    enum class call_state : std::uint8_t { waiting, queued, sending, sent };
    struct call {
        std::uint32_t id = 0;
        call_options options{};
        call_state at = call_state::waiting;
        bool abandoned = false;
        std::vector<std::byte> stub{}; ///< The request's.
        std::size_t sent = 0;          ///< Bytes of `stub` that were written.
        detail::reassembly answer{};
    };
    /// The contexts of a bind or alter_context that was written and not answered.
    struct negotiation {
        std::uint32_t call_id = 0;
        std::size_t first_context = 0;
        std::size_t count = 0;    ///< Contexts asked for.
        std::size_t repeated = 0; ///< Contexts that were answered before and only fill the PDU.
        bool offers_header_signing = false;
        bool with_features = false;
        security_entry* security = nullptr; ///< Whose leg it carried.
    };

    std::error_code dispatch(byte_view pdu, client_event_list& out);
    std::error_code on_bind_ack(byte_view pdu, const common_header& h, client_event_list& out);
    std::error_code on_bind_nak(byte_view pdu);
    std::error_code on_response(byte_view pdu, client_event_list& out);
    std::error_code on_fault(byte_view pdu, client_event_list& out);
    std::error_code unknown_call(std::uint32_t call_id) const noexcept;
    static const char* refusal_of(const context_result& r, const context& asked) noexcept;
    void settle(std::size_t context_id, std::error_code error, const char* why,
                client_event_list& out);
    std::error_code on_token(security_entry& s, const bind_ack& ack, client_event_list& out);
    void fail_security(security_entry& s, std::error_code error, const char* why,
                       client_event_list& out);
    std::error_code secured(security_entry& s, client_event_list& out);
    void place(call& c, client_event_list& out);
    void add_trailer(call& c, security_entry& s);
    std::error_code open(byte_view pdu, const std::optional<sec_trailer>& auth, std::size_t body_at,
                         std::uint32_t& security, byte_view& stub);
    [[nodiscard]] bool is_signed(const call& c) const noexcept;
    [[nodiscard]] security_entry* find_security(std::uint32_t id) noexcept;
    [[nodiscard]] const security_entry* find_security(std::uint32_t id) const noexcept;
    [[nodiscard]] security_entry* next_leg() const noexcept;
    static void report(const call& c, const call_failed& failure, client_event_list& out);
    void finish(call& c);
    [[nodiscard]] bool negotiation_due() const noexcept;
    [[nodiscard]] bind next_negotiation() const;
    void queue_auth3(const security_entry& s, byte_view token, std::uint32_t call_id);
    std::size_t write_negotiation(byte_span out);
    [[nodiscard]] const call* next_call() const noexcept;
    [[nodiscard]] request next_fragment(const call& c) const noexcept;
    void queue_notice(std::uint32_t call_id, pdu_type type);
    [[nodiscard]] std::uint32_t next_call_id() const noexcept;
    std::uint32_t new_call_id() noexcept;

    client_association_options options_;
    state state_ = state::unbound;
    std::error_code closed_with_{};
    const char* closed_detail_ = "";
    std::vector<context> contexts_{};
    std::size_t contexts_asked_ = 0; ///< Contexts below this index were put into a PDU.
    std::vector<std::unique_ptr<security_entry>> security_{}; ///< By id, from 1.
    security_entry* handshake_ = nullptr;                     ///< Has begun and is not finished.
    std::optional<negotiation> negotiation_{};
    std::vector<std::byte> unsealed_{};
    std::error_code output_error_{};
    std::string refusal_{}; ///< Also what closed_detail_ may point to.
    std::string advice_{};
    detail::call_table<call> calls_{};
    detail::id_fifo ready_{};   ///< Calls that may be sent, in order.
    std::size_t in_flight_ = 0; ///< Calls of which something was sent.
    detail::control_queue control_{};
    detail::reassembly_budget budget_;
    std::uint64_t ids_given_ = 0; ///< Its lower half is the last call_id.
    std::uint32_t assoc_group_id_ = 0;
    std::string secondary_address_{};
    std::uint16_t xmit_frag_;
    std::uint16_t recv_frag_;
    bool multiplexed_ = false;
    bool keeps_on_orphan_ = false;
    bool several_security_contexts_ = false;
    bool header_signing_ = false;
    bool shutdown_ = false;
};

} // namespace rpch::inline RPCH_ABI::dcerpc

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/dcerpc/impl/client_association.ipp>
#endif

#endif
