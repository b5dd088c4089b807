// expect: static assertion failed
#include <array>

#include <rpch/core/bytes.hpp>

int main() {
    const std::array<std::byte, 8> wire{};
    const std::span<const std::byte, 8> in{wire};
#ifdef RPCH_CONTROL
    return static_cast<int>(rpch::core::load_le32<4>(in));
#else
    return static_cast<int>(rpch::core::load_le32<5>(in));
#endif
}
