// The cursor that reads NDR, [C706] 14: alignment, byte order, counts, referents, and the budgets
// that keep a peer from making the decoder allocate or recurse without bound.
#ifndef RPCH_NDR_DECODER_HPP
#define RPCH_NDR_DECODER_HPP

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <system_error>

#include <rpch/core/bytes.hpp>
#include <rpch/core/reader.hpp>
#include <rpch/limits.hpp>
#include <rpch/ndr/transfer_syntax.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::ndr {

/// Reads the stub data of one request or response from front to back. Every `get` answers false on
/// failure; the first failure is kept and named by `error()`. Alignment counts from the start of
/// the stub. Borrows the stub, which must outlive the decoder.
class decoder {
  public:
    explicit decoder(byte_view stub, core::byte_order order = core::byte_order::little,
                     transfer_syntax syntax = transfer_syntax::ndr20) noexcept
        : in_(stub, order),
          syntax_(syntax),
          allowance_(limits::ndr_decoded_bytes_base +
                     limits::ndr_decoded_bytes_per_stub_byte * stub.size()) {}

    /// Remembers the first failure. @return false, always, for `return in.fail(...)`.
    bool fail(std::error_code why) noexcept {
        if (!error_) error_ = why;
        return false;
    }
    /// @return what went wrong first, or no error.
    [[nodiscard]] std::error_code error() const noexcept { return error_; }

    /// Skips the gap before something aligned to `alignment`, [C706] 14.2.2; its octets are not
    /// judged.
    /// @errors errc::truncated.
    [[nodiscard]] bool align(std::size_t alignment) noexcept {
        return in_.align(alignment) || fail(errc::truncated);
    }
    /// Reads an integer at its natural alignment, [C706] 14.2.5.
    /// @errors errc::truncated.
    template <std::unsigned_integral Int>
    [[nodiscard]] bool get(Int& out) noexcept {
        if (!align(sizeof(Int))) return false;
        const auto value = in_.take_int<Int>();
        if (!value) return fail(errc::truncated);
        out = *value;
        return true;
    }
    /// Reads the maximum count, offset or actual count of an array, [C706] 14.3.3; its width and
    /// alignment are `count_bytes` of the transfer syntax.
    [[nodiscard]] bool get_count(std::uint64_t& out) noexcept {
        if (syntax_ == transfer_syntax::ndr64) return get(out);
        std::uint32_t narrow = 0;
        if (!get(narrow)) return false;
        out = narrow;
        return true;
    }
    /// Reads a referent identifier, [C706] 14.3.10; `pointer_bytes` of the transfer syntax wide.
    [[nodiscard]] bool get_referent(std::uint64_t& out) noexcept { return get_count(out); }
    /// Skips what fills a structure up to a multiple of its alignment in NDR64, [MS-RPCE]
    /// 2.2.5.3.4.1; at the end of the stub it may be missing.
    void skip_pad(std::size_t alignment) noexcept {
        if (syntax_ != transfer_syntax::ndr64) return;
        if (!in_.align(alignment)) static_cast<void>(in_.take(in_.remaining()));
    }
    /// Takes `n` bytes as they stand.
    /// @return a borrow of the stub; nothing, and errc::truncated, if fewer are left.
    [[nodiscard]] std::optional<byte_view> get_bytes(std::size_t n) noexcept {
        auto bytes = in_.take(n);
        if (!bytes) fail(errc::truncated);
        return bytes;
    }

    /// Accounts for memory that is about to be allocated on behalf of the stub.
    /// @errors errc::too_large above limits::ndr_decoded_bytes_base plus
    ///         limits::ndr_decoded_bytes_per_stub_byte for each byte of the stub.
    [[nodiscard]] bool charge(std::uint64_t bytes) noexcept {
        if (bytes > allowance_) return fail(errc::too_large);
        allowance_ -= bytes;
        return true;
    }
    /// Goes one pointer deeper; each success is answered by one `leave`.
    /// @errors errc::too_large beyond limits::ndr_depth_max.
    [[nodiscard]] bool enter() noexcept {
        if (depth_ == limits::ndr_depth_max) return fail(errc::too_large);
        ++depth_;
        return true;
    }
    void leave() noexcept { --depth_; }

    /// What full pointers have pointed to so far, by referent identifier.
    struct referent {
        std::shared_ptr<void> object;
        const void* type = nullptr; ///< Tells types apart; an identifier never changes its type.
        bool complete = false;      ///< False while its own representation is being read.
    };
    [[nodiscard]] std::map<std::uint64_t, referent>& referents() noexcept { return referents_; }

    [[nodiscard]] std::size_t remaining() const noexcept { return in_.remaining(); }
    [[nodiscard]] byte_view rest() const noexcept { return in_.rest(); }
    [[nodiscard]] std::size_t position() const noexcept { return in_.position(); }
    [[nodiscard]] core::byte_order order() const noexcept { return in_.order(); }
    [[nodiscard]] transfer_syntax syntax() const noexcept { return syntax_; }

  private:
    core::reader in_;
    transfer_syntax syntax_;
    std::uint64_t allowance_;
    std::size_t depth_ = 0;
    std::error_code error_;
    std::map<std::uint64_t, referent> referents_;
};

/// Judges what is left of a stub when all parameters were read. Up to seven octets are tolerated,
/// because peers round the stub up to a multiple of eight; so is a verification trailer, [MS-RPCE]
/// 2.2.2.13, which the security provider judges. Anything else means that both sides disagree about
/// the types, which is better said than hidden.
/// @errors the decoder's own failure; errc::trailing_bytes.
RPCH_DECL std::error_code finish(decoder& in) noexcept;

} // namespace rpch::inline RPCH_ABI::ndr

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/ndr/impl/decoder.ipp>
#endif

#endif
