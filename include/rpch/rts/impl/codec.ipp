#include <algorithm>

#include <gsl/assert>

#include <rpch/core/writer.hpp>
#include <rpch/dcerpc/common_header.hpp>
#include <rpch/rts/codec.hpp>
#include <rpch/rts/detail/shape_key.hpp>

namespace rpch::inline RPCH_ABI::rts {
namespace detail {

/// What the header says about the commands behind it.
struct head {
    core::byte_order order = core::byte_order::little;
    std::uint16_t flags = 0;
    std::uint16_t count = 0;
};

/// Names what is wrong with the sixteen bytes of the common header, [MS-RPCH] 2.2.3.6.1.
/// @return no_error, and big-endian in `order`, if only the byte order is unusual.
inline errc explain_common_header(byte_view in, core::byte_order& order) noexcept {
    constexpr auto whole = dcerpc::pfc::first_frag | dcerpc::pfc::last_frag;
    const auto at = [in](std::size_t i) { return std::to_integer<unsigned>(in[i]); };
    if (at(0) != 5 || at(1) != 0) return errc::bad_version;
    if (dcerpc::peek_type(in) != dcerpc::pdu_type::rts) return errc::bad_pdu_type;
    if (at(3) != whole) return errc::bad_flags;
    // Big-endian is not in the text; [C706] lets every sender choose, and it costs nothing to take
    // it. ASCII and IEEE it must be: there is nothing here that another representation could mean.
    if ((at(4) != 0x10 && at(4) != 0) || at(5) != 0 || at(6) != 0 || at(7) != 0)
        return errc::bad_data_representation;
    order = at(4) == 0 ? core::byte_order::big : core::byte_order::little;
    const auto frag_length = core::load<std::uint16_t>(in.data() + 8, order);
    if (frag_length < header_bytes) return errc::bad_frag_length;
    if (frag_length > limits::rts_pdu_bytes_max) return errc::too_large;
    if (frag_length > in.size()) return errc::truncated;
    if (frag_length < in.size()) return errc::bad_frag_length;
    if (core::load<std::uint16_t>(in.data() + 10, order) != 0) return errc::bad_auth_length;
    if (core::load<std::uint32_t>(in.data() + 12, order) != 0) return errc::bad_call_id;
    return no_error;
}

/// Checks the header against [MS-RPCH] 2.2.3.6.1.
inline errc read_head(byte_view in, head& out) noexcept {
    if (in.size() < header_bytes) return errc::truncated;
    // The usual common header as two numbers: versions, PTYPE, pfc_flags and drep; frag_length with
    // auth_length and call_id, which are 0.
    constexpr std::uint64_t usual_start = 0x0000'0010'0314'0005;
    const auto start = core::load<std::uint64_t>(in.data(), core::byte_order::little);
    const auto lengths = core::load<std::uint64_t>(in.data() + 8, core::byte_order::little);
    const bool usual =
        start == usual_start && lengths == in.size() && in.size() <= limits::rts_pdu_bytes_max;
    if (!usual)
        if (const errc why = explain_common_header(in, out.order); why != no_error) return why;
    out.flags = core::load<std::uint16_t>(in.data() + 16, out.order);
    if ((out.flags & flag::undefined) != 0) return errc::bad_flags;
    out.count = core::load<std::uint16_t>(in.data() + 18, out.order);
    // A command has at least the four bytes of its type.
    if (out.count > (in.size() - header_bytes) / 4) return errc::bad_command_count;
    if (out.count > limits::rts_commands_max) return errc::too_many;
    return no_error;
}

/// Judges the field that decides how long a command is; `at` has the command's least bytes.
/// @param bytes  in: the least bytes of the command; out: all its bytes.
template <core::byte_order Order>
errc measure(command_type type, const std::byte* at, std::size_t left,
             std::size_t& bytes) noexcept {
    const auto value = core::load<std::uint32_t>(at + 4, Order);
    const bool padding = type == command_type::padding;         // or an address
    if (value > (padding ? 0xFFFF : 1)) return errc::bad_value; // 2.2.3.5.9, 2.2.3.2
    bytes = 8 + (padding ? value : client_address_bytes(static_cast<address_family>(value)));
    return left < bytes ? errc::truncated : no_error;
}

/// Walks over the commands of a PDU whose header was read, and shows each to `visit(type, fields)`.
template <core::byte_order Order, class Visit>
errc walk_commands(byte_view in, std::size_t count, Visit visit) noexcept {
    const std::byte* at = in.data() + header_bytes;
    std::size_t left = in.size() - header_bytes;
    for (; count != 0; --count) {
        if (left < 4) return errc::bad_command_count;
        const auto number = core::load<std::uint32_t>(at, Order);
        if (number >= command_forms.size()) return errc::bad_command;
        const auto type = static_cast<command_type>(number);
        std::size_t bytes = form_of(type).bytes;
        if (left < bytes) return errc::truncated;
        if (type == command_type::destination) {
            if (core::load<std::uint32_t>(at + 4, Order) > 3) return errc::bad_value; // 2.2.3.3
        } else if (type == command_type::padding || type == command_type::client_address) {
            if (const errc why = measure<Order>(type, at, left, bytes); why != no_error) return why;
        }
        visit(type, byte_view(at + 4, bytes - 4));
        at += bytes;
        left -= bytes;
    }
    return left == 0 ? no_error : errc::trailing_bytes;
}

template <class Visit>
errc walk_commands(byte_view in, const head& h, Visit visit) noexcept {
    return h.order == core::byte_order::little
               ? walk_commands<core::byte_order::little>(in, h.count, visit)
               : walk_commands<core::byte_order::big>(in, h.count, visit);
}

RPCH_DECL errc recognize(byte_view in, recognized& out) noexcept {
    head h;
    if (const errc why = read_head(in, h); why != no_error) return why;
    shape_key key;
    const auto collect = [&key](command_type type, byte_view) { key.add(type); };
    if (const errc why = walk_commands(in, h, collect); why != no_error) return why;
    const shape_row* row = key.find(h.flags);
    if (row == nullptr) return errc::unknown_shape;
    out = {row->kind, h.order};
    return no_error;
}

} // namespace detail

RPCH_DECL destination pdu::forward_destination() const noexcept {
    Expects(has_destination());
    return static_cast<destination>(
        core::load<std::uint32_t>(bytes_.data() + header_bytes + 4, order_));
}

RPCH_DECL result<pdu> decode(byte_view in) noexcept {
    detail::recognized seen;
    if (const errc why = detail::recognize(in, seen); why != detail::no_error) return fail(why);
    return pdu(seen.kind, seen.order, in);
}

RPCH_DECL std::uint32_t command::number(std::size_t index) const noexcept {
    Expects(index < form_of(type).numbers && fields.size() >= 4 * (index + 1));
    return core::load<std::uint32_t>(fields.data() + 4 * index, order);
}

RPCH_DECL byte_view command::rest() const noexcept {
    return fields.subspan(std::min<std::size_t>(fields.size(), 4u * form_of(type).numbers));
}

RPCH_DECL bool command_list::push_back(const command& c) noexcept {
    if (size_ == commands_.size()) return false;
    commands_[size_++] = c;
    return true;
}

RPCH_DECL result<shape> command_list::kind() const noexcept {
    detail::shape_key key;
    for (const command& c : commands()) key.add(c.type);
    const detail::shape_row* row = key.find(flags_);
    if (row == nullptr) return fail(errc::unknown_shape);
    return row->kind;
}

RPCH_DECL result<command_list> decode_commands(byte_view in) noexcept {
    detail::head h;
    if (const errc why = detail::read_head(in, h); why != detail::no_error) return fail(why);
    command_list out(h.flags);
    const auto collect = [&](command_type type, byte_view fields) {
        const bool kept = out.push_back({.type = type, .order = h.order, .fields = fields});
        Ensures(kept); // read_head has checked the count
    };
    if (const errc why = detail::walk_commands(in, h, collect); why != detail::no_error)
        return fail(why);
    return out;
}

RPCH_DECL result<std::size_t> encode_commands(const command_list& from, byte_span out) noexcept {
    core::writer body(out.first(std::min(out.size(), limits::rts_pdu_bytes_max)));
    body.put_zeros(header_bytes);
    for (const command& c : from.commands()) {
        body.put_u32(static_cast<std::uint32_t>(c.type));
        for (std::size_t i = 0; i < form_of(c.type).numbers; ++i) body.put_u32(c.number(i));
        body.put_bytes(c.rest());
    }
    if (!body.ok()) return fail(errc::too_large);
    detail::write_header(out.data(), body.size(), from.flags(), from.commands().size());
    return body.size();
}

} // namespace rpch::inline RPCH_ABI::rts
