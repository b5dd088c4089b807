// Any bytes through the RTS decoders. What decodes must survive being encoded and decoded again.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include <rpch/rts/codec.hpp>

using namespace rpch;
using namespace rpch::rts;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

/// A big-endian or generic PDU becomes a little-endian one of the same flags, types and numbers.
void check_commands(const command_list& list) {
    std::vector<std::byte> out(limits::rts_pdu_bytes_max);
    const auto size = encode_commands(list, out);
    require(size.has_value());
    const auto again = decode_commands(byte_view(out).first(*size));
    require(again && again->flags() == list.flags() &&
            again->commands().size() == list.commands().size());
    for (std::size_t i = 0; i < list.commands().size(); ++i) {
        const command& before = list.commands()[i];
        const command& after = again->commands()[i];
        require(before.type == after.type && before.rest().size() == after.rest().size());
        for (std::size_t n = 0; n < form_of(before.type).numbers; ++n)
            require(before.number(n) == after.number(n));
    }
}

/// An IPv6 address without host part reads differently in the two layouts (client_address.hpp).
template <class T>
bool survives(const T&) {
    return true;
}
bool survives(const conn_b2& pdu) {
    const auto& address = pdu.client_address;
    if (address.family == address_family::ipv4) return true;
    for (std::size_t i = 8; i < 16; ++i)
        if (address.octets[i] != std::byte{0}) return true;
    return address == client_address{.family = address_family::ipv6};
}

template <class... T>
struct list_of {};
using all_pdus =
    list_of<conn_a1, conn_a2, conn_a3, conn_b1, conn_b2, conn_b3, conn_c1, in_r1_a1, in_r1_a2,
            in_r1_a3, in_r1_a5, in_r1_b1, in_r1_b2, in_r2_a3, out_r1_a1, out_r1_a3, out_r1_a4,
            out_r1_a5, out_r1_a7, out_r1_a9, out_r2_a5, out_r2_a7, out_r2_b2, out_r2_b3, out_r2_c1,
            keep_alive, ping_traffic_sent_notify, echo, ping, flow_control_ack,
            flow_control_ack_with_destination>;

template <class T>
bool check_as(const pdu& p) {
    if (p.kind() != T::kind) return false;
    const T value = get<T>(p);
    for (const auto layout : {address_layout::text, address_layout::windows}) {
        const wire encoded = encode(value, layout);
        const auto again = decode_as<T>(encoded.view());
        require(again && (*again == value || !survives(value)));
    }
    return true;
}

template <class... T>
void check_pdu(const pdu& p, list_of<T...>) {
    require((check_as<T>(p) || ...));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto in = std::as_bytes(std::span(data, size));
    const auto list = decode_commands(in);
    const auto p = decode(in);
    if (!list) {
        require(!p && p.error() == list.error());
        return 0;
    }
    check_commands(*list);
    require(p.has_value() == list->kind().has_value());
    if (!p) return 0;
    require(p->kind() == *list->kind());
    if (p->has_destination()) require(static_cast<unsigned>(p->forward_destination()) <= 3);
    check_pdu(*p, all_pdus{});
    return 0;
}
