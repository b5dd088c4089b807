#include <rpch/auth/rc4.hpp>

#include <numeric>
#include <utility>

#include <gsl/assert>

namespace rpch::inline RPCH_ABI::auth {

RPCH_DECL rc4::rc4(byte_view key) noexcept {
    Expects(!key.empty() && key.size() <= state_.size());
    std::iota(state_.begin(), state_.end(), std::uint8_t{0});
    std::uint8_t j = 0;
    for (std::size_t i = 0; i < state_.size(); ++i) {
        const auto octet = std::to_integer<std::uint8_t>(key[i % key.size()]);
        j = static_cast<std::uint8_t>(j + state_[i] + octet);
        std::swap(state_[i], state_[j]);
    }
}

RPCH_DECL void rc4::apply(byte_span data) noexcept {
    for (std::byte& b : data) {
        i_ = static_cast<std::uint8_t>(i_ + 1);
        j_ = static_cast<std::uint8_t>(j_ + state_[i_]);
        std::swap(state_[i_], state_[j_]);
        b ^= std::byte{state_[static_cast<std::uint8_t>(state_[i_] + state_[j_])]};
    }
}

} // namespace rpch::inline RPCH_ABI::auth
