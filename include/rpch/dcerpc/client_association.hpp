// The client's end of one connection: presentation contexts, calls, fragments. [C706] 9.5, 12.6 and
// [MS-RPCE] 3.3.2. A machine without I/O: PDUs and commands go in, events and PDUs come out.
#ifndef RPCH_DCERPC_CLIENT_ASSOCIATION_HPP
#define RPCH_DCERPC_CLIENT_ASSOCIATION_HPP

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
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::dcerpc {

/// A presentation context was accepted, or refused with `error`.
struct context_ready {
    std::uint16_t context = 0; ///< As add_context() returned it.
    std::error_code
        error{}; ///< Nothing; errc::context_refused; errc::bind_refused; a fault's status.
    const char* detail = ""; ///< Who refused and why, in words of the specification; static.
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
    const char* detail = ""; ///< Static.
};
/// The server asks to close the connection once it is idle; new calls are refused from now on.
struct shutdown_requested {};

using client_event = std::variant<context_ready, call_completed, call_failed, shutdown_requested>;
using client_event_list = std::vector<client_event>;

/// What begin_call() is told beside the stub.
struct call_options {
    std::uint16_t context = 0; ///< As add_context() returned it.
    std::uint16_t opnum = 0;
    std::optional<uuid> object{};
    /// [maybe]: the server sends no answer and the machine reports nothing about the call.
    bool maybe = false;
};

struct client_association_options {
    association_limits limits{};
    std::uint32_t assoc_group_id = 0; ///< Of the association to join; 0 opens a new one.
    /// Adds the bind time feature negotiation to bind, [MS-RPCE] 3.3.1.5.3.
    bool negotiate_features = true;
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
    /// Starts a call; answered by exactly one call_completed or call_failed, unless it is a maybe
    /// call. It waits for its context where that is not ready yet. On error nothing is kept.
    /// @param stub  owned from here on; sent as little-endian data.
    /// @return the call_id, unique among the calls of this connection that are not finished.
    /// @errors errc::bad_context_id; errc::context_refused; errc::too_many above calls_max;
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

    // State.

    [[nodiscard]] bool is_bound() const noexcept { return state_ == state::bound; }
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
        std::size_t count = 0;
        bool with_features = false;
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
    static void report(const call& c, const call_failed& failure, client_event_list& out);
    void finish(call& c);
    [[nodiscard]] bool negotiation_due() const noexcept;
    [[nodiscard]] bind next_negotiation() const;
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
    std::optional<negotiation> negotiation_{};
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
    bool shutdown_ = false;
};

} // namespace rpch::inline RPCH_ABI::dcerpc

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/dcerpc/impl/client_association.ipp>
#endif

#endif
