// What count_instructions.sh counts: each function below decodes or encodes one PDU through the
// public interface. main checks the answers first, then calls each function a known number of
// times.
#include <cstdio>
#include <cstdlib>

#include <rpch/rts/codec.hpp>

using namespace rpch;

namespace {
void require(bool holds) {
    if (holds) return;
    std::fputs("a probe gives the wrong answer\n", stderr);
    std::exit(1);
}
} // namespace

// Not extern "C": a result is returned in the caller's space, as in any program.
namespace probe {

[[gnu::noinline]] result<rts::conn_b1> decode_conn_b1(byte_view in) {
    return rts::decode_as<rts::conn_b1>(in);
}

/// As the machines do it: first what it is, then its fields.
[[gnu::noinline]] rts::conn_b1 decode_then_get_conn_b1(byte_view in) {
    return rts::get<rts::conn_b1>(*rts::decode(in));
}

[[gnu::noinline]] result<rts::flow_control_ack_with_destination> decode_ack(byte_view in) {
    return rts::decode_as<rts::flow_control_ack_with_destination>(in);
}

[[gnu::noinline]] rts::flow_control_ack_with_destination decode_then_get_ack(byte_view in) {
    return rts::get<rts::flow_control_ack_with_destination>(*rts::decode(in));
}

[[gnu::noinline]] rts::wire encode_conn_b1(const rts::conn_b1& in) { return rts::encode(in); }

[[gnu::noinline]] rts::wire encode_ack(const rts::flow_control_ack_with_destination& in) {
    return rts::encode(in);
}

} // namespace probe

int main(int, char** arguments) {
    const int rounds = std::atoi(arguments[1]);

    rts::conn_b1 b1{.channel_lifetime = 0x40000000, .client_keepalive = 300000};
    b1.in_channel.bytes[0] = std::byte{0xB0};
    const rts::wire b1_wire = rts::encode(b1);
    rts::flow_control_ack_with_destination ack{.destination = rts::destination::outbound_proxy,
                                               .ack = {.bytes_received = 32914}};
    const rts::wire ack_wire = rts::encode(ack);

    for (int i = 0; i < rounds; ++i) {
        require(probe::decode_conn_b1(b1_wire.view()) == b1);
        require(probe::decode_then_get_conn_b1(b1_wire.view()) == b1);
        require(probe::decode_ack(ack_wire.view()) == ack);
        require(probe::decode_then_get_ack(ack_wire.view()) == ack);
        require(core::to_hex(probe::encode_conn_b1(b1).view()) == core::to_hex(b1_wire.view()));
        require(core::to_hex(probe::encode_ack(ack).view()) == core::to_hex(ack_wire.view()));
    }
}
