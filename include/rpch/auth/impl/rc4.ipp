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
    // In registers, since a store into the state may alias the members; and eight bytes of the key
    // stream at a time: more than twice as fast as byte by byte.
    std::uint8_t i = i_;
    std::uint8_t j = j_;
    const auto next = [&, state = state_.data()]() -> std::uint8_t {
        i = static_cast<std::uint8_t>(i + 1);
        const std::uint8_t x = state[i];
        j = static_cast<std::uint8_t>(j + x);
        const std::uint8_t y = state[j];
        state[i] = y;
        state[j] = x;
        return state[static_cast<std::uint8_t>(x + y)];
    };
    constexpr auto order = core::byte_order::little;
    for (; data.size() >= 8; data = data.subspan(8)) {
        std::uint64_t stream = 0;
        for (unsigned bit = 0; bit < 64; bit += 8) stream |= std::uint64_t{next()} << bit;
        const auto text = core::load<std::uint64_t>(data.data(), order);
        core::store(data.data(), text ^ stream, order);
    }
    for (std::byte& b : data) b ^= std::byte{next()};
    i_ = i;
    j_ = j;
}

} // namespace rpch::inline RPCH_ABI::auth
