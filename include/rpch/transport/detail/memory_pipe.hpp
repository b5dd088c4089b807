// Two links of one strand joined in memory: what stands where a TCP link has its socket.
#ifndef RPCH_TRANSPORT_DETAIL_MEMORY_PIPE_HPP
#define RPCH_TRANSPORT_DETAIL_MEMORY_PIPE_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include <rpch/transport/buffer_pool.hpp>
#include <rpch/transport/executor.hpp>

#include <asio/error.hpp>
#include <asio/post.hpp>

namespace rpch::inline RPCH_ABI::transport::detail {

/// A piece of a link's output.
struct output_segment {
    block_ref block; // holds `data`, or empty when `owned` does
    std::vector<std::byte> owned;
    const std::byte* data = nullptr;
    std::size_t size = 0;
    std::size_t rpc_bytes = 0;
};

/// One direction of a pair, a socket buffer as it were. Both links own it and neither knows the
/// other, so either may go first.
///
/// Who waits for it waits for a timer that never fires and is cancelled when there is something to
/// do. So the io_context owns what waits, as it does for a socket: nothing is kept in a circle, a
/// context that is destroyed drops it, and nobody is called from within a call of the other side.
class memory_pipe {
  public:
    explicit memory_pipe(const strand& on)
        : readable_(on, time_point::max()), writable_(on, time_point::max()) {}

    [[nodiscard]] bool is_abandoned() const noexcept { return abandoned_; }
    [[nodiscard]] bool has_input() const noexcept { return count_ != 0 || ended_; }
    /// Segments are taken whole: what waits may exceed `bytes_max` by a part of the last one. A
    /// reader that pauses can pin `segments_max` blocks, 2 MiB.
    [[nodiscard]] bool has_room() const noexcept {
        return (bytes_ < bytes_max && count_ < segments_max) || abandoned_;
    }

    /// Takes a segment over, if there is room. @errors broken_pipe once nobody will read.
    bool put(output_segment& from, std::error_code& ec) {
        if (abandoned_ || ended_) ec = asio::error::broken_pipe;
        if (ec || !has_room()) return false;
        bytes_ += from.size;
        ring_[(first_ + count_++) % segments_max] = std::move(from);
        return true;
    }
    /// Copies out what fits. @errors would_block while it is empty, eof after the last byte.
    std::size_t take(byte_span to, std::error_code& ec) {
        std::size_t n = 0;
        while (count_ != 0 && n < to.size()) {
            output_segment& s = ring_[first_];
            const std::size_t part = std::min(s.size, to.size() - n);
            std::memcpy(to.data() + n, s.data, part);
            n += part;
            s.data += part;
            s.size -= part;
            if (s.size == 0) drop_first();
        }
        bytes_ -= n;
        if (n == 0)
            ec = ended_ ? std::error_code(asio::error::eof)
                        : std::error_code(asio::error::would_block);
        if (has_room()) writable_.cancel();
        return n;
    }
    /// The writing side will put no more.
    void end() {
        ended_ = true;
        wake_both();
    }
    /// The reading side will take no more; what is inside is lost.
    void abandon() {
        abandoned_ = true;
        while (count_ != 0) drop_first();
        bytes_ = 0;
        wake_both();
    }
    void wake_reader() { readable_.cancel(); }
    void wake_writer() { writable_.cancel(); }

    template <class Handler>
    void when_readable(Handler handler) {
        wait(has_input(), readable_, std::move(handler));
    }
    template <class Handler>
    void when_writable(Handler handler) {
        wait(has_room(), writable_, std::move(handler));
    }

  private:
    /// The side that does it may be waiting too, and what waits keeps that link alive.
    void wake_both() {
        wake_reader();
        wake_writer();
    }

    static constexpr std::size_t bytes_max = std::size_t{256} << 10;
    static constexpr std::size_t segments_max = 32;

    void drop_first() {
        ring_[first_] = {};
        first_ = (first_ + 1) % segments_max;
        --count_;
    }
    template <class Handler>
    static void wait(bool ready, timer& on, Handler handler) {
        auto wake = [next = std::move(handler)](std::error_code = {}) mutable { next({}); };
        if (ready)
            asio::post(on.get_executor(), std::move(wake));
        else
            on.async_wait(std::move(wake));
    }

    std::array<output_segment, segments_max> ring_;
    std::size_t first_ = 0;
    std::size_t count_ = 0;
    std::size_t bytes_ = 0;
    timer readable_;
    timer writable_;
    bool ended_ = false;
    bool abandoned_ = false;
};

/// What one link of a pair holds of it; empty for links that have a socket.
struct memory_end {
    std::shared_ptr<memory_pipe> in;
    std::shared_ptr<memory_pipe> out;

    explicit operator bool() const noexcept { return in != nullptr; }
    [[nodiscard]] bool is_open() const noexcept { return !in->is_abandoned(); }
    void close() {
        out->end();
        in->abandon();
    }
};

} // namespace rpch::inline RPCH_ABI::transport::detail

#endif
