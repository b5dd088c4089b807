// Builders and checks that the tests of this room share.
#ifndef RPCH_TESTS_UNIT_DCERPC_PDUS_HPP
#define RPCH_TESTS_UNIT_DCERPC_PDUS_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include <rpch/dcerpc/bind_pdu.hpp>
#include <rpch/dcerpc/call_pdu.hpp>

#include "tests/support/bytes.hpp"

namespace test {

/// rpcecho, the interface of the captures.
inline constexpr rpch::interface_id rpcecho{"60a15ec5-4de8-11d7-a637-005056a20182", 1, 0};

/// `n` bytes that differ from their neighbours and from those of another seed.
inline bytes pattern(std::size_t n, unsigned seed = 0) {
    bytes out(n);
    for (std::size_t i = 0; i < n; ++i)
        out[i] = static_cast<std::byte>((i * 7 + i / 251 + seed * 31) & 0xFF);
    return out;
}

/// A PDU with its frag_length, for hex texts that are cut or grown.
inline bytes with_length(bytes pdu, std::size_t length) {
    pdu.resize(length);
    const auto order =
        pdu[4] == std::byte{0} ? rpch::core::byte_order::big : rpch::core::byte_order::little;
    rpch::core::store(pdu.data() + 8, static_cast<std::uint16_t>(length), order);
    return pdu;
}

inline constexpr std::uint8_t whole = rpch::dcerpc::pfc::first_frag | rpch::dcerpc::pfc::last_frag;

inline bytes encoded(const rpch::dcerpc::bind& p,
                     rpch::dcerpc::pdu_type type = rpch::dcerpc::pdu_type::bind) {
    bytes out(encoded_size(p));
    out.resize(encode_bind(p, out, type));
    return out;
}
inline bytes encoded(const rpch::dcerpc::bind_ack& p,
                     rpch::dcerpc::pdu_type type = rpch::dcerpc::pdu_type::bind_ack) {
    bytes out(encoded_size(p));
    out.resize(encode_bind_ack(p, out, type));
    return out;
}
inline bytes encoded(const rpch::dcerpc::bind_nak& p) {
    bytes out(encoded_size(p));
    out.resize(encode_bind_nak(p, out));
    return out;
}
inline bytes encoded(const rpch::dcerpc::auth3& p) {
    bytes out(encoded_size(p));
    out.resize(encode_auth3(p, out));
    return out;
}
inline bytes encoded(const rpch::dcerpc::shutdown& p) {
    bytes out(encoded_size(p));
    out.resize(encode_shutdown(p, out));
    return out;
}
inline bytes encoded(const rpch::dcerpc::request& p) {
    bytes out(encoded_size(p));
    out.resize(encode_request(p, out));
    return out;
}
inline bytes encoded(const rpch::dcerpc::response& p) {
    bytes out(encoded_size(p));
    out.resize(encode_response(p, out));
    return out;
}
inline bytes encoded(const rpch::dcerpc::fault& p) {
    bytes out(encoded_size(p));
    out.resize(encode_fault(p, out));
    return out;
}
inline bytes encoded(const rpch::dcerpc::call_notice& p, rpch::dcerpc::pdu_type type) {
    bytes out(encoded_size(p));
    out.resize(encode_call_notice(p, type, out));
    return out;
}

/// A co_cancel or an orphaned for a call.
inline bytes notice(rpch::dcerpc::pdu_type type, std::uint32_t call_id) {
    rpch::dcerpc::call_notice p;
    p.header = {.flags = whole, .call_id = call_id};
    return encoded(p, type);
}

/// The next PDU of a machine; empty if there is none.
template <class Machine>
bytes next_output(Machine& m) {
    bytes out(m.next_output_size());
    out.resize(m.write_output(out));
    return out;
}

} // namespace test

#endif
