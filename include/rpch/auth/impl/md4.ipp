#include <rpch/auth/md4.hpp>

#include <algorithm>
#include <bit>

namespace rpch::inline RPCH_ABI::auth {

RPCH_DECL void md4::update(byte_view part) noexcept {
    while (!part.empty()) {
        const auto used = static_cast<std::size_t>(bytes_ % 64);
        const std::size_t n = std::min<std::size_t>(part.size(), 64 - used);
        std::ranges::copy(part.first(n), pending_.begin() + static_cast<std::ptrdiff_t>(used));
        bytes_ += n;
        part = part.subspan(n);
        if (used + n == 64) take_block(pending_);
    }
}

RPCH_DECL void md4::finish(std::span<std::byte, 16> out) noexcept {
    std::array<std::byte, 8> bits{};
    core::store<std::uint64_t>(bits.data(), bytes_ * 8, core::byte_order::little);
    static constexpr std::array<std::byte, 64> padding{std::byte{0x80}};
    const auto used = static_cast<std::size_t>(bytes_ % 64);
    update(byte_view(padding).first(used < 56 ? 56 - used : 120 - used)); // RFC 1320 3.1
    update(bits);
    for (std::size_t i = 0; i < 4; ++i)
        core::store<std::uint32_t>(out.data() + 4 * i, state_[i], core::byte_order::little);
    clear();
    state_ = start;
    bytes_ = 0;
}

RPCH_DECL void md4::take_block(std::span<const std::byte, 64> block) noexcept {
    std::array<std::uint32_t, 16> x{};
    for (std::size_t i = 0; i < 16; ++i)
        x[i] = core::load<std::uint32_t>(block.data() + 4 * i, core::byte_order::little);
    // RFC 1320 3.4 by rounds: which word a step takes, by how much it rotates, what it adds.
    static constexpr std::array<std::array<std::uint8_t, 16>, 3> word{
        {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
         {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15},
         {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15}}};
    static constexpr std::array<std::array<int, 4>, 3> turn{
        {{3, 7, 11, 19}, {3, 5, 9, 13}, {3, 9, 11, 15}}};
    static constexpr std::array<std::uint32_t, 3> added{0, 0x5a827999, 0x6ed9eba1};
    auto [a, b, c, d] = state_;
    for (std::size_t round = 0; round < 3; ++round)
        for (std::size_t step = 0; step < 16; ++step) {
            const std::uint32_t mixed = round == 0   ? (b & c) | (~b & d)
                                        : round == 1 ? (b & c) | (b & d) | (c & d)
                                                     : b ^ c ^ d;
            const std::uint32_t next =
                std::rotl(a + mixed + x[word[round][step]] + added[round], turn[round][step % 4]);
            a = d;
            d = c;
            c = b;
            b = next;
        }
    state_ = {state_[0] + a, state_[1] + b, state_[2] + c, state_[3] + d};
    core::wipe(std::as_writable_bytes(std::span(x)));
}

} // namespace rpch::inline RPCH_ABI::auth
