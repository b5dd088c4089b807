// Templates of codec.hpp.
#ifndef RPCH_RTS_IMPL_CODEC_HPP
#define RPCH_RTS_IMPL_CODEC_HPP

#include <gsl/assert>

#include <rpch/rts/codec.hpp>
#include <rpch/rts/detail/layouts.hpp>

namespace rpch::inline RPCH_ABI::rts {
namespace detail {

/// Below, an `errc` that is 0 means that nothing is wrong.
inline constexpr errc no_error{};

/// What `decode` finds out about a PDU.
struct recognized {
    shape kind{};
    core::byte_order order = core::byte_order::little;
};

/// Checks header, commands and shape; the work of `decode`, without a result to wrap and unwrap.
RPCH_DECL errc recognize(byte_view in, recognized& out) noexcept;

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

/// Reads the fields of a PDU that was recognized as one of shape T::kind.
template <class T>
void read_fields(byte_view in, core::byte_order order, T& out) noexcept {
    const std::byte* first = in.data() + header_bytes;
    if (order == core::byte_order::little)
        layout<T>::template read<core::byte_order::little>(first, out);
    else
        layout<T>::template read<core::byte_order::big>(first, out);
}

} // namespace detail

template <class T>
T get(const pdu& p) noexcept {
    Expects(p.kind() == T::kind);
    T out;
    detail::read_fields(p.bytes(), p.order(), out);
    return out;
}

template <class T>
result<T> decode_as(byte_view in) noexcept {
    detail::recognized seen;
    if (const errc why = detail::recognize(in, seen); why != detail::no_error) return fail(why);
    if (seen.kind != T::kind) return fail(errc::unexpected_pdu);
    result<T> out(tl::in_place);
    detail::read_fields(in, seen.order, *out);
    return out;
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
