// Actions and PDUs in words, for traces.
#include "tests/sim/driver.hpp"
#include "tests/support/channel.hpp"

namespace sim {

std::string_view role_name(rpch::rts::role which) noexcept {
    using enum rpch::rts::role;
    switch (which) {
    case client: return "client";
    case inbound_proxy: return "inbound proxy";
    case outbound_proxy: return "outbound proxy";
    case server: return "server";
    }
    return "nobody";
}

std::string ending_in_words(rpch::rts::role who, std::error_code why, leg where) {
    return std::string(role_name(who)) + ": " + why.message() + ", on " +
           std::string(channel::name(where));
}

std::string words(const channel::action::any& any) { return test::words(any); }

std::string words(const rpch::core::split_view& pdu) {
    const std::string size = std::to_string(pdu.size()) + " bytes";
    if (rpch::dcerpc::peek_type(pdu.first) == rpch::dcerpc::pdu_type::rts) {
        const auto in = rpch::rts::decode(pdu.first);
        if (!in) return "bad RTS PDU, " + size;
        std::string out(rpch::rts::name(in->kind()));
        const auto kind = in->kind();
        if (kind == rpch::rts::shape::flow_control_ack ||
            kind == rpch::rts::shape::flow_control_ack_with_destination) {
            const auto ack = channel::acknowledgment_in(*in);
            out += " {" + std::to_string(ack.bytes_received) + ", " +
                   std::to_string(ack.available_window) + ", channel " +
                   std::to_string(std::to_integer<int>(ack.channel_cookie.bytes[0])) + "}";
        }
        return out;
    }
    return "RPC, " + size;
}

} // namespace sim
