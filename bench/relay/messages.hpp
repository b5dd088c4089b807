#ifndef RPCH_BENCH_RELAY_MESSAGES_HPP
#define RPCH_BENCH_RELAY_MESSAGES_HPP

#include <asio/buffer.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/write.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <stdexcept>
#include <utility>
#include <vector>

namespace bench::relay {

/// A raw message: a 32-bit sequence number, then filler up to a size both sides know. The number
/// comes back in the answer, which proves that every call got its own.
using sequence = std::uint32_t;

/// Queues messages and writes whatever is queued in one gathered write after another.
class message_writer {
  public:
    message_writer(asio::ip::tcp::socket& to, std::size_t message_bytes)
        : to_{to}, filler_(message_bytes - sizeof(sequence), std::byte{0x55}) {}

    void queue(sequence number) { queued_.push_back(number); }

    /// Starts a write unless one is on its way or nothing is queued. `this` stays where it is until
    /// the event loop has run dry.
    void flush() {
        if (writing_ || queued_.empty()) return;
        writing_ = true;
        const std::size_t count = std::min(queued_.size(), numbers_.size());
        buffers_.clear();
        for (std::size_t at = 0; at < count; ++at) {
            numbers_[at] = queued_.front();
            queued_.pop_front();
            buffers_.push_back(asio::buffer(&numbers_[at], sizeof(sequence)));
            if (!filler_.empty()) buffers_.push_back(asio::buffer(filler_));
        }
        asio::async_write(to_, buffers_, [this](std::error_code error, std::size_t) {
            writing_ = false;
            if (!error) flush(); // an error shows on the reading side as well
        });
    }

  private:
    asio::ip::tcp::socket& to_;
    std::vector<std::byte> filler_;
    std::deque<sequence> queued_;
    std::array<sequence, 32> numbers_{}; // with the fillers: the 64 pieces one system call takes
    std::vector<asio::const_buffer> buffers_;
    bool writing_ = false;
};

/// Divides the bytes of one direction into messages and takes their numbers.
class message_reader {
  public:
    explicit message_reader(std::size_t message_bytes) : message_bytes_{message_bytes} {}

    /// Calls `take` with the number of each message that these bytes complete.
    template <class Take>
    void feed(const std::byte* bytes, std::size_t count, Take&& take) {
        while (count != 0) {
            std::size_t step = std::min(count, message_bytes_ - at_);
            if (at_ < sizeof number_) {
                step = std::min(step, sizeof number_ - at_);
                std::memcpy(number_.data() + at_, bytes, step);
            }
            at_ += step;
            bytes += step;
            count -= step;
            if (at_ != message_bytes_) continue;
            at_ = 0;
            sequence number = 0;
            std::memcpy(&number, number_.data(), sizeof number);
            take(number);
        }
    }

  private:
    std::size_t message_bytes_;
    std::size_t at_ = 0; // within the message
    std::array<std::byte, sizeof(sequence)> number_{};
};

/// The first bytes of a connection tell the server what it is: a duplex one, or the IN or the OUT
/// half of the pair with this number.
struct greeting {
    enum kind : std::uint32_t { duplex = 1, in = 2, out = 3 };
    std::uint32_t what = duplex;
    std::uint32_t pair = 0;
};

} // namespace bench::relay

#endif
