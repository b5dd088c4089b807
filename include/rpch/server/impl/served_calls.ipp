#include <rpch/server/served_calls.hpp>

#include <utility>
#include <variant>

namespace rpch::inline RPCH_ABI::detail {

RPCH_DECL served_calls::served_calls(std::shared_ptr<served_interfaces> shared,
                                     connection_info info)
    : shared_(std::move(shared)),
      info_(std::make_shared<connection_info>(std::move(info))),
      association_(shared_->offered, shared_->groups, shared_->options) {
    info_->handles = std::shared_ptr<context_handles>(shared_, &shared_->handles);
}

RPCH_DECL served_calls::~served_calls() {
    association_.close(errc::operation_aborted);
    for (const auto& [id, each] : std::exchange(running_, {})) each.state->end();
    run_down();
}

/// The association has left its group if it has ended; the group may have ended with it.
RPCH_DECL void served_calls::run_down() {
    if (info_->association_group != 0) shared_->handles.run_down(info_->association_group);
}

RPCH_DECL std::error_code served_calls::on_pdu(const core::split_view& pdu,
                                               const std::shared_ptr<call_sink>& sink) {
    byte_view whole = pdu.first;
    if (!pdu.second.empty()) { // it straddled two read buffers
        contiguous_.assign(pdu.first.begin(), pdu.first.end());
        contiguous_.insert(contiguous_.end(), pdu.second.begin(), pdu.second.end());
        whole = contiguous_;
    }
    ++shared_->traffic.pdus_in;
    const std::error_code ended = association_.on_pdu(whole, events_);
    // Once, with the bind: handlers elsewhere read it.
    if (info_->association_group == 0) info_->association_group = association_.assoc_group_id();
    for (auto& event : events_) {
        if (auto* call = std::get_if<dcerpc::call_received>(&event))
            dispatch(*call, sink);
        else if (const auto* stop = std::get_if<dcerpc::call_cancelled>(&event))
            cancel(stop->call_id);
        else if (const auto* gone = std::get_if<dcerpc::call_orphaned>(&event))
            cancel(gone->call_id);
    }
    events_.clear();
    if (ended) run_down();
    return ended;
}

RPCH_DECL void served_calls::dispatch(dcerpc::call_received& call,
                                      const std::shared_ptr<call_sink>& sink) {
    ++shared_->traffic.calls_in;
    const raw_handler* handler = shared_->registry.find(call.interface, call.opnum);
    if (handler == nullptr) return fault(call.call_id, rpc_status::nca_op_rng_error);
    auto state = admit(call);
    if (!state)
        return static_cast<void>(
            association_.fault(call.call_id, rpc_status::nca_server_too_busy, true));
    call_context context(info_, call.call_id, call.opnum, call.object, shared_->executor,
                         std::move(call.security), std::move(state), call.interface,
                         ndr::syntax_of(call.transfer_syntax));
    responder answer(sink, call.call_id);
    try {
        (*handler)(context, std::move(call.stub), call.order, std::move(answer));
    } catch (...) {
        // A raw handler that throws has dropped its responder, which has sent a fault already.
    }
}

/// Counts a call for its interface and its connection.
/// @return null if its interface has as many as it may.
RPCH_DECL std::shared_ptr<call_state> served_calls::admit(const dcerpc::call_received& call) {
    const interface_entry& e = shared_->registry.at(call.interface);
    const auto& used = shared_->in_use[call.interface];
    const std::size_t bytes = call.stub.size();
    if (used->calls >= e.calls_max || !used->stubs->has_room(bytes)) return nullptr;
    auto state = std::make_shared<call_state>(used, bytes);
    executing_bytes_ += bytes;
    running_.insert_or_assign(call.call_id, running{state, bytes});
    return state;
}

RPCH_DECL void served_calls::cancel(std::uint32_t call_id) {
    const auto found = running_.find(call_id);
    if (found == running_.end()) return;
    const auto state = found->second.state; // the handler may answer from within
    state->cancel();
}

RPCH_DECL void served_calls::cancel_all() {
    const auto all = std::exchange(running_, {});
    executing_bytes_ = 0;
    for (const auto& [id, each] : all) each.state->cancel();
    run_down();
}

RPCH_DECL void served_calls::forget(std::uint32_t call_id) {
    const auto found = running_.find(call_id);
    if (found == running_.end()) return;
    executing_bytes_ -= found->second.bytes;
    const auto state = std::move(found->second.state); // what goes with it may answer other calls
    running_.erase(found);
    state->end();
}

RPCH_DECL void served_calls::respond(std::uint32_t call_id, std::vector<std::byte> stub) {
    forget(call_id);
    static_cast<void>(association_.respond(call_id, std::move(stub)));
}

RPCH_DECL void served_calls::fault(std::uint32_t call_id, rpc_status status) {
    forget(call_id);
    // A fault that says the operation does not exist also says that nothing ran. [MS-RPCE] 2.2.2.3
    static_cast<void>(association_.fault(call_id, status, status == rpc_status::nca_op_rng_error));
}

} // namespace rpch::inline RPCH_ABI::detail
