// The cursor that writes NDR, [C706] 14.
#ifndef RPCH_NDR_ENCODER_HPP
#define RPCH_NDR_ENCODER_HPP

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <system_error>
#include <utility>
#include <vector>

#include <rpch/core/bytes.hpp>
#include <rpch/limits.hpp>
#include <rpch/ndr/transfer_syntax.hpp>
#include <rpch/result.hpp>

namespace rpch::inline RPCH_ABI::ndr {

/// Appends the stub data of one request or response to a vector that its caller owns and may reuse.
/// Every `put` answers false on failure; the first failure is kept and named by `error()`.
/// Alignment counts from where the vector ended when the encoder was made. Throws std::bad_alloc
/// only.
class encoder {
  public:
    explicit encoder(std::vector<std::byte>& out, core::byte_order order = core::byte_order::little,
                     transfer_syntax syntax = transfer_syntax::ndr20) noexcept
        : out_(out), base_(out.size()), order_(order), syntax_(syntax) {}

    /// Remembers the first failure. @return false, always, for `return out.fail(...)`.
    bool fail(std::error_code why) noexcept {
        if (!error_) error_ = why;
        return false;
    }
    /// @return what went wrong first, or no error.
    [[nodiscard]] std::error_code error() const noexcept { return error_; }

    /// Writes zeros up to the next multiple of `alignment`, [C706] 14.2.2.
    void align(std::size_t alignment) {
        const std::size_t gap = (alignment - size() % alignment) % alignment;
        if (gap != 0) out_.insert(out_.end(), gap, std::byte{0});
    }
    /// Writes an integer at its natural alignment, [C706] 14.2.5.
    template <std::unsigned_integral Int>
    void put(Int value) {
        align(sizeof(Int));
        std::byte octets[sizeof(Int)];
        core::store(octets, value, order_);
        put_bytes(octets);
    }
    /// Writes the maximum count, offset or actual count of an array, [C706] 14.3.3.
    /// @errors errc::too_large if the transfer syntax cannot carry it.
    [[nodiscard]] bool put_count(std::uint64_t value) {
        if (syntax_ == transfer_syntax::ndr64) {
            put(value);
            return true;
        }
        if (value > std::numeric_limits<std::uint32_t>::max()) return fail(errc::too_large);
        put(static_cast<std::uint32_t>(value));
        return true;
    }
    /// Writes a referent identifier, [C706] 14.3.10.
    [[nodiscard]] bool put_referent(std::uint64_t id) { return put_count(id); }
    /// Fills a structure up to a multiple of its alignment, as NDR64 does, [MS-RPCE] 2.2.5.3.4.1.
    void pad(std::size_t alignment) {
        if (syntax_ == transfer_syntax::ndr64) align(alignment);
    }
    /// Appends bytes as they stand.
    void put_bytes(byte_view bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }

    /// Goes one pointer deeper; each success is answered by one `leave`.
    /// @errors errc::too_large beyond limits::ndr_depth_max.
    [[nodiscard]] bool enter() noexcept {
        if (depth_ == limits::ndr_depth_max) return fail(errc::too_large);
        ++depth_;
        return true;
    }
    void leave() noexcept { --depth_; }

    /// @return a referent identifier that this stub did not use yet, never 0.
    [[nodiscard]] std::uint64_t next_referent() noexcept { return 0x20000 + 4 * referents_used_++; }

    /// What full pointers have pointed to so far, by address and type: the first member of a
    /// structure has the structure's address.
    struct referent {
        std::uint64_t id = 0;
        enum { announced, being_written, written } state = announced;
    };
    [[nodiscard]] std::map<std::pair<const void*, const void*>, referent>& referents() noexcept {
        return referents_;
    }

    /// @return how many bytes of stub data were written.
    [[nodiscard]] std::size_t size() const noexcept { return out_.size() - base_; }
    [[nodiscard]] core::byte_order order() const noexcept { return order_; }
    [[nodiscard]] transfer_syntax syntax() const noexcept { return syntax_; }

  private:
    std::vector<std::byte>& out_;
    std::size_t base_;
    core::byte_order order_;
    transfer_syntax syntax_;
    std::uint64_t referents_used_ = 0;
    std::size_t depth_ = 0;
    std::error_code error_;
    std::map<std::pair<const void*, const void*>, referent> referents_;
};

} // namespace rpch::inline RPCH_ABI::ndr

#endif
