// The calls of one connection: a server association, the handlers, and the answers between them.
#ifndef RPCH_SERVER_SERVED_CALLS_HPP
#define RPCH_SERVER_SERVED_CALLS_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <unordered_map>
#include <vector>

#include <rpch/core/split_view.hpp>
#include <rpch/dcerpc/server_association.hpp>
#include <rpch/server/context_handles.hpp>
#include <rpch/server/handlers.hpp>
#include <rpch/transport/executor.hpp>

namespace rpch::inline RPCH_ABI::detail {

/// What came and went, of all connections of a server; RTS PDUs are below the RPC protocol and do
/// not count.
struct server_traffic {
    std::uint64_t calls_in = 0;
    std::uint64_t pdus_in = 0;
    std::uint64_t pdus_out = 0;
};

/// What every connection of a server shares; fixed, but for the traffic, once the server listens.
struct served_interfaces {
    handler_registry registry;
    std::vector<dcerpc::offered_interface> offered;
    dcerpc::association_groups groups;
    context_handles handles{groups};
    transport::executor executor;
    dcerpc::server_association_options options;
    server_traffic traffic;
    std::size_t pending_bytes_max = limits::pending_bytes_max;

    std::vector<std::shared_ptr<call_usage>> in_use{}; ///< By the index of the interface.

    explicit served_interfaces(std::uint32_t first_group) : groups(first_group) {}
};

/// Dispatches the requests of one connection and keeps their answers until they are written. On the
/// server's strand.
class served_calls {
  public:
    served_calls(std::shared_ptr<served_interfaces> shared, connection_info info);
    served_calls(const served_calls&) = delete;
    served_calls& operator=(const served_calls&) = delete;
    ~served_calls();

    /// Takes one RPC PDU and runs the handlers of the calls it completes.
    /// @param sink  answers go there; it hands them to `respond` and `fault` on the strand.
    /// @return the error that ends the connection.
    std::error_code on_pdu(const core::split_view& pdu, const std::shared_ptr<call_sink>& sink);

    void respond(std::uint32_t call_id, std::vector<std::byte> stub);
    void fault(std::uint32_t call_id, rpc_status status);

    /// Tells the handlers of all calls that nobody waits for them any more, and runs the context
    /// handles down if this was the last connection of its group. After the association was closed.
    void cancel_all();
    /// @return whether so much is pending that no more should be read from the connection.
    [[nodiscard]] bool is_full() const noexcept {
        return executing_bytes_ + association_.answer_bytes() > shared_->pending_bytes_max;
    }

    /// @return whether the rest of a request is still to come, and would be read.
    [[nodiscard]] bool awaits_rest() const noexcept {
        return association_.is_receiving() && !is_full();
    }

    /// @return what the end of the connection leaves unfinished, for people; empty if nothing.
    [[nodiscard]] std::string unfinished() const {
        const std::size_t calls = association_.calls();
        return calls == 0 ? "" : "calls that were not finished: " + std::to_string(calls);
    }

    [[nodiscard]] dcerpc::server_association& association() noexcept { return association_; }

    // The output of the association, counted.
    [[nodiscard]] bool has_output() const noexcept { return association_.has_output(); }
    [[nodiscard]] std::size_t next_output_size() const noexcept {
        return association_.next_output_size();
    }
    std::size_t write_output(byte_span out) {
        const std::size_t size = association_.write_output(out);
        if (size != 0) ++shared_->traffic.pdus_out;
        return size;
    }

    void set_client_address(std::string address) { info_->client_address = std::move(address); }
    void set_server_address(std::string address) { info_->server_address = std::move(address); }
    [[nodiscard]] const connection_info& info() const noexcept { return *info_; }

  private:
    void dispatch(dcerpc::call_received& call, const std::shared_ptr<call_sink>& sink);
    [[nodiscard]] std::shared_ptr<call_state> admit(const dcerpc::call_received& call);
    void cancel(std::uint32_t call_id);
    void forget(std::uint32_t call_id);
    void run_down();

    struct running {
        std::shared_ptr<call_state> state;
        std::size_t bytes = 0;
    };

    std::shared_ptr<served_interfaces> shared_;
    std::shared_ptr<connection_info> info_;
    dcerpc::server_association association_;
    dcerpc::server_event_list events_;
    std::vector<std::byte> contiguous_;
    std::unordered_map<std::uint32_t, running> running_;
    std::size_t executing_bytes_ = 0;
};

} // namespace rpch::inline RPCH_ABI::detail

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/server/impl/served_calls.ipp>
#endif

#endif
