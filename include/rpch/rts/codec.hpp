// Decoding and encoding RTS PDUs, [MS-RPCH] 2.2.3.6.
//
//     const auto p = rts::decode(bytes);                       // form and shape
//     if (p && p->kind() == rts::shape::conn_c2) use(rts::get<rts::conn_c2>(*p));
//     const rts::wire out = rts::encode(rts::ping{});          // out.view()
#ifndef RPCH_RTS_CODEC_HPP
#define RPCH_RTS_CODEC_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include <rpch/core/bytes.hpp>
#include <rpch/limits.hpp>
#include <rpch/result.hpp>
#include <rpch/rts/client_address.hpp>
#include <rpch/rts/command.hpp>
#include <rpch/rts/pdus.hpp>
#include <rpch/rts/shape.hpp>

#include <gsl/assert>

namespace rpch::inline RPCH_ABI::rts {

/// A decoded RTS PDU: what it is, and a borrow of its bytes. Only `decode` makes one, so that `get`
/// needs no second look. Whoever keeps it longer than the read buffer copies what it needs with
/// `get`, or the bytes into a `wire`.
class pdu {
  public:
    [[nodiscard]] shape kind() const noexcept { return kind_; }
    /// The byte order of its integers.
    [[nodiscard]] core::byte_order order() const noexcept { return order_; }
    /// The whole PDU as it came, for forwarding byte for byte.
    [[nodiscard]] byte_view bytes() const noexcept { return bytes_; }
    /// @return whether it begins with a Destination command, [MS-RPCH] 2.2.3.5.14.
    [[nodiscard]] bool has_destination() const noexcept {
        const auto commands = definition_of(kind_).commands();
        return !commands.empty() && commands.front() == command_type::destination;
    }
    /// @return the role it is for; only if `has_destination()`.
    [[nodiscard]] RPCH_DECL destination forward_destination() const noexcept;

  private:
    friend RPCH_DECL result<pdu> decode(byte_view in) noexcept;
    pdu(shape kind, core::byte_order order, byte_view bytes) noexcept
        : kind_(kind), order_(order), bytes_(bytes) {}

    shape kind_;
    core::byte_order order_;
    byte_view bytes_;
};

/// Decodes one RTS PDU: the header, every command, and its shape. Judges form, not numbers
/// (rules.hpp) and not whether the PDU is allowed now. Takes both byte orders; the text has
/// little-endian only.
/// @param in  borrowed by the result; exactly one PDU, 20 to limits::rts_pdu_bytes_max bytes.
/// @errors those of `decode_commands`; errc::unknown_shape if 2.2.4 has no such PDU.
RPCH_DECL result<pdu> decode(byte_view in) noexcept;

/// Reads the fields of a PDU.
/// @tparam T  a struct of pdus.hpp; `p.kind()` must be `T::kind`.
template <class T>
[[nodiscard]] T get(const pdu& p) noexcept;

/// Decodes a PDU that must have the shape of T.
/// @errors those of `decode`; errc::unexpected_pdu if it is another one.
template <class T>
[[nodiscard]] result<T> decode_as(byte_view in) noexcept;

/// An encoded PDU in place; small enough to be copied, owned by whoever has it.
class wire {
  public:
    /// Bytes of the largest PDU that the tables of [MS-RPCH] 2.2.4 define, CONN/B2 with IPv6.
    static constexpr std::size_t bytes_max = 140;

    wire() noexcept {} // NOLINT: the bytes stay uninitialized; view() shows none of them
    /// Copies a PDU that is to be forwarded or kept.
    /// @param bytes  borrowed.
    /// @errors errc::too_large above `bytes_max`; only Padding makes an RTS PDU so large.
    [[nodiscard]] static result<wire> copy_of(byte_view bytes) noexcept {
        if (bytes.size() > bytes_max) return fail(errc::too_large);
        wire out;
        if (!bytes.empty()) std::memcpy(out.reserve(bytes.size()), bytes.data(), bytes.size());
        return out;
    }
    /// Makes room for `n` bytes, at most `bytes_max`, and returns it; they are the caller's to
    /// write.
    [[nodiscard]] std::byte* reserve(std::size_t n) noexcept {
        Expects(n <= bytes_max);
        size_ = n;
        return bytes_.data();
    }
    [[nodiscard]] byte_view view() const noexcept { return byte_view(bytes_).first(size_); }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

  private:
    std::size_t size_ = 0;
    std::array<std::byte, bytes_max> bytes_;
};

/// Encodes a PDU, little-endian.
/// @tparam T  a struct of pdus.hpp.
/// @param address  only for CONN/B2: where the client's address is put.
template <class T>
[[nodiscard]] wire encode(const T& from, address_layout address = address_layout::text) noexcept;

/// One command of a PDU of any shape; borrows its fields.
struct command {
    command_type type = command_type::empty;
    core::byte_order order = core::byte_order::little;
    byte_view fields{}; ///< What follows the type.

    /// @return the u32 field number `index`; `index` is below `form_of(type).numbers`.
    [[nodiscard]] RPCH_DECL std::uint32_t number(std::size_t index = 0) const noexcept;
    /// @return the fields behind the numbers: cookie, address, padding; or nothing.
    [[nodiscard]] RPCH_DECL byte_view rest() const noexcept;
};

/// The generic form of an RTS PDU: flags and commands, whatever their shape. For tools, traces and
/// tests; the roles use `pdu`. Holds at most limits::rts_commands_max commands, in place.
class command_list {
  public:
    explicit command_list(std::uint16_t flags = flag::none) noexcept : flags_(flags) {}

    /// Appends a command; borrows its fields.
    /// @return false, and no change, if the list is full.
    [[nodiscard]] RPCH_DECL bool push_back(const command& c) noexcept;
    [[nodiscard]] std::uint16_t flags() const noexcept { return flags_; }
    [[nodiscard]] std::span<const command> commands() const noexcept {
        return std::span(commands_).first(size_);
    }
    /// @errors errc::unknown_shape.
    [[nodiscard]] RPCH_DECL result<shape> kind() const noexcept;

  private:
    std::uint16_t flags_;
    std::size_t size_ = 0;
    std::array<command, limits::rts_commands_max> commands_{};
};

/// Decodes the header and every command, [MS-RPCH] 2.2.3.6. Padding is taken wherever it stands and
/// with any ConformanceCount up to 65535, also one that misaligns what follows: the text limits
/// neither (2.2.3.5.9). Commands are read byte by byte.
/// @param in  borrowed by the result; exactly one PDU.
/// @errors errc::truncated (also a command cut short), errc::bad_version, errc::bad_pdu_type,
///         errc::bad_flags (pfc_flags other than first and last fragment, or undefined RTS flags),
///         errc::bad_data_representation, errc::bad_frag_length, errc::too_large (above
///         limits::rts_pdu_bytes_max), errc::bad_auth_length, errc::bad_call_id,
///         errc::bad_command_count (more commands counted than present), errc::too_many (above
///         limits::rts_commands_max), errc::bad_command (unknown type), errc::bad_value
///         (AddressType, Destination or ConformanceCount out of range), errc::trailing_bytes.
RPCH_DECL result<command_list> decode_commands(byte_view in) noexcept;

/// Encodes any flags and commands, little-endian. What it writes need not be a PDU of 2.2.4.
/// @param out  borrowed.
/// @return the bytes written.
/// @errors errc::too_large if `out` or limits::rts_pdu_bytes_max is too small.
RPCH_DECL result<std::size_t> encode_commands(const command_list& from, byte_span out) noexcept;

} // namespace rpch::inline RPCH_ABI::rts

#include <rpch/rts/impl/codec.hpp>
#if defined(RPCH_HEADER_ONLY)
    #include <rpch/rts/impl/codec.ipp>
#endif

#endif
