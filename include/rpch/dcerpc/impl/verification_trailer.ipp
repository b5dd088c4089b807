#include <rpch/dcerpc/verification_trailer.hpp>

#include <algorithm>
#include <array>

#include <rpch/core/reader.hpp>

namespace rpch::inline RPCH_ABI::dcerpc {

namespace detail {

/// The signature of [MS-RPCE] 2.2.2.13.1. The trailer is always little-endian.
inline constexpr std::array<std::byte, 8> trailer_signature{
    std::byte{0x8A}, std::byte{0xE3}, std::byte{0x13}, std::byte{0x71},
    std::byte{0x02}, std::byte{0xF4}, std::byte{0x36}, std::byte{0x71}};
inline constexpr std::size_t trailer_alignment = 4;
/// A trailer that has every command once has 96 bytes; further commands may come with later
/// versions.
inline constexpr std::size_t trailer_bytes_max = 512;

enum trailer_command : std::uint16_t {
    vt_bitmask1 = 0x0001,
    vt_pcontext = 0x0002,
    vt_header2 = 0x0003,
    vt_end = 0x4000,
    vt_must_process = 0x8000,
};
inline constexpr std::uint16_t vt_command_mask = 0x3FFF;
inline constexpr std::uint32_t vt_client_supports_header_signing = 1;

/// Appends integers and identifiers to a vector, little-endian.
struct trailer_writer {
    std::vector<std::byte>& out;
    template <class Int>
    void put(Int value) const {
        out.resize(out.size() + sizeof(Int));
        core::store(out.data() + out.size() - sizeof(Int), value, core::byte_order::little);
    }
    void put(const interface_id& id) const {
        std::array<std::byte, 16> wire{};
        id.id.encode(wire, core::byte_order::little);
        out.insert(out.end(), wire.begin(), wire.end());
        put(std::uint32_t{id.minor} << 16 | id.major);
    }
};

[[nodiscard]] inline std::optional<interface_id> take_interface(core::reader& in) noexcept {
    const auto wire = in.take<20>();
    if (!wire) return std::nullopt;
    const auto version = core::load<std::uint32_t>(wire->data() + 16, core::byte_order::little);
    interface_id id;
    id.id = uuid::decode(wire->first<16>(), core::byte_order::little);
    id.major = static_cast<std::uint16_t>(version);
    id.minor = static_cast<std::uint16_t>(version >> 16);
    return id;
}

/// Reads one command's value. @return false if it is not well formed.
[[nodiscard]] inline bool take_command(std::uint16_t command, byte_view value,
                                       verification_trailer& out) noexcept {
    core::reader in(value);
    switch (command & vt_command_mask) {
    case vt_bitmask1: {
        const auto bits = in.take_u32();
        if (!bits || in.remaining() != 0) return false;
        out.supports_header_signing = (*bits & vt_client_supports_header_signing) != 0;
        return true;
    }
    case vt_pcontext: {
        const auto interface = take_interface(in);
        const auto syntax = take_interface(in);
        if (!interface || !syntax || in.remaining() != 0) return false;
        out.context = verification_trailer::pcontext{*interface, *syntax};
        return true;
    }
    case vt_header2: {
        const auto wire = in.take<16>(); // PTYPE, 3 reserved, drep, call_id, context, opnum
        if (!wire || in.remaining() != 0) return false;
        if (static_cast<pdu_type>((*wire)[0]) != pdu_type::request) return false;
        verification_trailer::header2 h;
        h.order = ((*wire)[4] & std::byte{0x10}) != std::byte{0} ? core::byte_order::little
                                                                 : core::byte_order::big;
        h.call_id = core::load<std::uint32_t>(wire->data() + 8, core::byte_order::little);
        h.context_id = core::load<std::uint16_t>(wire->data() + 12, core::byte_order::little);
        h.opnum = core::load<std::uint16_t>(wire->data() + 14, core::byte_order::little);
        out.header = h;
        return true;
    }
    default: out.must_process_unknown |= (command & vt_must_process) != 0; return true;
    }
}

/// @return what the bytes behind a signature say, if they are a trailer up to their end.
[[nodiscard]] inline std::optional<verification_trailer> parse_commands(byte_view in) noexcept {
    core::reader from(in);
    verification_trailer out;
    while (true) {
        const auto command = from.take_u16();
        const auto length = from.take_u16();
        if (!command || !length) return std::nullopt;
        const auto value = from.take(*length);
        if (!value || !take_command(*command, *value, out)) return std::nullopt;
        if ((*command & vt_end) == 0) continue;
        if (from.remaining() != 0) return std::nullopt;
        return out;
    }
}

} // namespace detail

RPCH_DECL void append(std::vector<std::byte>& stub, const verification_trailer& what) {
    const std::size_t pad = (detail::trailer_alignment - stub.size() % detail::trailer_alignment) %
                            detail::trailer_alignment;
    stub.resize(stub.size() + pad);
    stub.insert(stub.end(), detail::trailer_signature.begin(), detail::trailer_signature.end());
    const detail::trailer_writer to{stub};
    std::size_t last = stub.size();
    const auto begin = [&](std::uint16_t command, std::uint16_t length) {
        last = stub.size();
        to.put(command);
        to.put(length);
    };
    if (what.supports_header_signing) {
        begin(detail::vt_bitmask1, 4);
        to.put(*what.supports_header_signing ? detail::vt_client_supports_header_signing
                                             : std::uint32_t{0});
    }
    if (what.context) {
        begin(detail::vt_pcontext, 40);
        to.put(what.context->interface);
        to.put(what.context->transfer_syntax);
    }
    if (what.header) {
        const bool little = what.header->order == core::byte_order::little;
        begin(detail::vt_header2, 16);
        to.put(static_cast<std::uint32_t>(pdu_type::request));
        to.put(std::uint32_t{little ? 0x10U : 0U});
        to.put(what.header->call_id);
        to.put(what.header->context_id);
        to.put(what.header->opnum);
    }
    if (last == stub.size()) begin(0, 0); // a trailer has at least one command
    const auto command = core::load<std::uint16_t>(stub.data() + last, core::byte_order::little);
    core::store(stub.data() + last, static_cast<std::uint16_t>(command | detail::vt_end),
                core::byte_order::little);
}

RPCH_DECL bool has_trailer_signature(byte_view stub) noexcept {
    const byte_view end = stub.last(std::min(stub.size(), detail::trailer_bytes_max));
    return std::search(end.begin(), end.end(), detail::trailer_signature.begin(),
                       detail::trailer_signature.end()) != end.end();
}

RPCH_DECL std::optional<found_trailer> find_verification_trailer(byte_view stub) noexcept {
    if (stub.size() < detail::trailer_signature.size() + 4) return std::nullopt;
    std::size_t at =
        (stub.size() - detail::trailer_signature.size() - 4) & ~(detail::trailer_alignment - 1);
    const std::size_t first =
        stub.size() > detail::trailer_bytes_max ? stub.size() - detail::trailer_bytes_max : 0;
    while (true) {
        const byte_view here = stub.subspan(at);
        if (std::equal(detail::trailer_signature.begin(), detail::trailer_signature.end(),
                       here.begin()))
            if (const auto content =
                    detail::parse_commands(here.subspan(detail::trailer_signature.size())))
                return found_trailer{at, *content};
        if (at < first + detail::trailer_alignment) return std::nullopt;
        at -= detail::trailer_alignment;
    }
}

} // namespace rpch::inline RPCH_ABI::dcerpc
