// Templates of codec.hpp.
#ifndef RPCH_RTS_IMPL_CODEC_HPP
#define RPCH_RTS_IMPL_CODEC_HPP

#include <gsl/assert>

#include <rpch/rts/codec.hpp>
#include <rpch/rts/detail/layouts.hpp>

namespace rpch::inline RPCH_ABI::rts {
namespace detail {

/// Writes the 20 bytes of a header, [MS-RPCH] 2.2.3.6.1.
inline void write_header(std::byte* at, std::size_t frag_length, std::uint16_t flags,
                         std::size_t count) noexcept {
    using core::byte_order;
    core::store(at, std::uint64_t{0x0000'0010'0314'0005}, byte_order::little); // up to packed_drep
    core::store(at + 8, static_cast<std::uint16_t>(frag_length), byte_order::little);
    core::store(at + 10, std::uint16_t{0}, byte_order::little); // auth_length
    core::store(at + 12, std::uint32_t{0}, byte_order::little); // call_id
    core::store(at + 16, flags, byte_order::little);
    core::store(at + 18, static_cast<std::uint16_t>(count), byte_order::little);
}

} // namespace detail

template <class T>
T get(const pdu& p) noexcept {
    Expects(p.kind() == T::kind);
    T out;
    const std::byte* first = p.bytes().data() + header_bytes;
    if (p.order() == core::byte_order::little)
        detail::layout<T>::template read<core::byte_order::little>(first, out);
    else
        detail::layout<T>::template read<core::byte_order::big>(first, out);
    return out;
}

template <class T>
result<T> decode_as(byte_view in) noexcept {
    const auto p = decode(in);
    if (!p) return fail(p.error());
    if (p->kind() != T::kind) return fail(errc::unexpected_pdu);
    return get<T>(*p);
}

template <class T>
wire encode(const T& from, address_layout address) noexcept {
    using layout = detail::layout<T>;
    std::size_t bytes = layout::bytes;
    if constexpr (requires { from.client_address; })
        bytes += client_address_bytes(from.client_address.family) -
                 client_address_bytes(address_family::ipv4);
    wire out;
    std::byte* at = out.reserve(bytes);
    detail::write_header(at, bytes, definition_of(T::kind).flags, definition_of(T::kind).count);
    layout::write(at + header_bytes, from, address);
    return out;
}

} // namespace rpch::inline RPCH_ABI::rts

#endif
