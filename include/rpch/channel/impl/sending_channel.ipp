#include <rpch/channel/sending_channel.hpp>

namespace rpch::inline RPCH_ABI::channel {

RPCH_DECL std::error_code sending_channel::unplug(action_list& out) {
    plugged_ = false;
    for (const held_rts::entry& each : held_.take())
        if (const auto failure = send_rts(each.kind, each.pdu, out)) return failure;
    return run_queue(out);
}

RPCH_DECL std::error_code sending_channel::send(const core::split_view& pdu, action_list& out) {
    const std::size_t n = pdu.size();
    if (!plugged_ && queue_.empty()) {
        if (window_.fits(n)) {
            if (const auto failure = count(n)) return failure;
            out.push_back(action::forward{to_});
            return {};
        }
        if (n > window_.peer_window()) return errc::too_large;
    }
    queue_.push(pdu);
    return {};
}

RPCH_DECL std::error_code sending_channel::send_rts(rts::shape kind, const rts::wire& pdu,
                                                    action_list& out) {
    if (plugged_) return held_.hold(kind, pdu);
    if (!lifetime_.take(pdu.size())) return errc::lifetime_exceeded;
    out.push_back(action::send{to_, pdu});
    return {};
}

RPCH_DECL std::error_code sending_channel::forward_rts(const rts::pdu& in, action_list& out) {
    if (plugged_) {
        const auto copy = rts::wire::copy_of(in.bytes());
        return copy ? held_.hold(in.kind(), *copy) : copy.error();
    }
    if (!lifetime_.take(in.bytes().size())) return errc::lifetime_exceeded;
    out.push_back(action::forward{to_});
    return {};
}

RPCH_DECL std::error_code sending_channel::on_acknowledged(acknowledgement ack, action_list& out) {
    if (const auto failure = window_.on_acknowledged(ack)) return failure;
    return run_queue(out);
}

RPCH_DECL std::error_code sending_channel::run_queue(action_list& out) {
    while (!plugged_ && !queue_.empty()) {
        const std::size_t n = queue_.front_bytes();
        if (n > window_.peer_window()) return errc::too_large;
        if (!window_.fits(n)) break;
        if (const auto failure = count(n)) return failure;
        out.push_back(action::send_rpc{to_, queue_.pop()});
    }
    return {};
}

RPCH_DECL std::error_code sending_channel::count(std::size_t n) noexcept {
    if (!lifetime_.take(n)) return errc::lifetime_exceeded;
    window_.on_sent(n);
    unwritten_ += n;
    return {};
}

} // namespace rpch::inline RPCH_ABI::channel
