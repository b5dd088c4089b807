// Where everything that a simulation draws comes from: one small generator, the same everywhere.
#ifndef RPCH_TESTS_SIM_RANDOM_HPP
#define RPCH_TESTS_SIM_RANDOM_HPP

#include <cstddef>
#include <cstdint>

namespace sim {

/// Mixes 64 bits (splitmix64).
[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t x) noexcept {
    x += 0x9E37'79B9'7F4A'7C15U;
    x = (x ^ (x >> 30U)) * 0xBF58'476D'1CE4'E5B9U;
    x = (x ^ (x >> 27U)) * 0x94D0'49BB'1331'11EBU;
    return x ^ (x >> 31U);
}

class random {
  public:
    explicit random(std::uint64_t seed) noexcept : state_(mix(seed)) {}

    std::uint64_t next() noexcept {
        state_ += 0x9E37'79B9'7F4A'7C15U;
        return mix(state_);
    }
    /// @return 0 to n - 1; `n` is at least 1 and below 2^32.
    std::uint64_t below(std::uint64_t n) noexcept { return ((next() >> 32U) * n) >> 32U; }
    /// @return `least` to `most`, both included.
    std::uint64_t between(std::uint64_t least, std::uint64_t most) noexcept {
        return least + below(most - least + 1);
    }
    /// @return true once in `n` times.
    bool once_in(std::uint64_t n) noexcept { return below(n) == 0; }
    template <class T, std::size_t N>
    T pick(const T (&from)[N]) noexcept { // NOLINT: a list in braces
        return from[below(N)];
    }

  private:
    std::uint64_t state_;
};

} // namespace sim

#endif
