#include "tests/sim/calls.hpp"

#include <algorithm>
#include <cstring>

#include <rpch/core/bytes.hpp>

namespace sim {

namespace {

constexpr std::uint32_t announcement_bytes = 72;

bool is_announcement(pdu_type type) { return type == pdu_type::bind || type == pdu_type::bind_ack; }

/// Writes the PDU that a fragment must be; `offset` is a multiple of 8.
void fill(const fragment& f, std::uint64_t key, std::vector<std::byte>& out) {
    out.resize(f.size);
    std::uint8_t flags = 0;
    if (f.offset == 0) flags |= rpch::dcerpc::pfc::first_frag;
    if (is_announcement(f.type) || f.is_last()) flags |= rpch::dcerpc::pfc::last_frag;
    rpch::dcerpc::encode_common_header({.type = f.type,
                                        .flags = flags,
                                        .frag_length = static_cast<std::uint16_t>(f.size),
                                        .call_id = f.call},
                                       std::span<std::byte, 16>(out.data(), 16));
    constexpr auto little = rpch::core::byte_order::little;
    rpch::core::store(out.data() + 16, f.total, little); // an announcement has its sizes here
    rpch::core::store(out.data() + 20, f.offset, little);
    std::uint64_t word = mix(key ^ f.call) + f.offset / 8 * 0x9E37'79B9'7F4A'7C15U;
    std::byte* at = out.data() + fragment::head_bytes;
    std::size_t left = f.body();
    for (; left >= 8; left -= 8, at += 8, word += 0x9E37'79B9'7F4A'7C15U) std::memcpy(at, &word, 8);
    std::memcpy(at, &word, left);
}

} // namespace

void sender::add_announcement(pdu_type type, std::uint16_t sends, std::uint16_t receives) {
    const auto sizes = static_cast<std::uint32_t>(receives) << 16U | sends;
    waiting_.insert(waiting_.begin(), {type, 0, sizes, 0, 0});
}

void sender::add(pdu_type type, std::uint32_t call, std::uint32_t total) {
    waiting_.push_back({type, call, total, 0, 0});
}

void sender::choose() {
    chosen_ = draw_.below(waiting_.size());
    if (is_announcement(waiting_.front().type)) chosen_ = 0;
    next_ = waiting_[chosen_];
    if (is_announcement(next_.type)) {
        next_.size = announcement_bytes;
        return;
    }
    const std::uint32_t most = (largest_ - fragment::head_bytes) & ~7U;
    std::uint32_t n = std::min(most, next_.total - next_.offset);
    if (n > 16 && draw_.once_in(8)) n = static_cast<std::uint32_t>(draw_.between(1, n / 8)) * 8;
    next_.size = fragment::head_bytes + n;
}

const std::vector<std::byte>& sender::write() {
    fill(next_, key_, pdu_);
    way_.push_back(next_);
    fragment& from = waiting_[chosen_];
    from.offset += next_.body();
    if (is_announcement(next_.type) || from.offset == from.total)
        waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(chosen_));
    next_ = {};
    return pdu_;
}

fragment receiver::take(const rpch::core::split_view& pdu) {
    if (way_.empty() || way_.front().size != pdu.size()) return {};
    const fragment f = way_.front();
    fill(f, key_, expected_);
    const std::size_t first = pdu.first.size();
    if (std::memcmp(pdu.first.data(), expected_.data(), first) != 0) return {};
    if (!pdu.second.empty() &&
        std::memcmp(pdu.second.data(), expected_.data() + first, pdu.second.size()) != 0)
        return {};
    way_.pop_front();
    return f;
}

} // namespace sim
