// What a link's owner queued, on its way to the socket: pieces, gathered writes, TLS records.
#include <rpch/transport/link.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include <asio/buffer.hpp>
#include <asio/error.hpp>

namespace rpch::inline RPCH_ABI::transport {

namespace detail {

/// Pieces of one gathered write; what Asio passes to one system call.
inline constexpr std::size_t gather_max = 64;

/// Borrowed pieces as Asio wants them, without a container.
struct gathered {
    using value_type = asio::const_buffer;
    using const_iterator = const asio::const_buffer*;
    std::array<asio::const_buffer, gather_max> pieces;
    std::size_t count = 0;
    [[nodiscard]] const_iterator begin() const noexcept { return pieces.data(); }
    [[nodiscard]] const_iterator end() const noexcept { return pieces.data() + count; }
};

} // namespace detail

RPCH_DECL byte_span link::reserve(std::size_t n) {
    if (out_block_ && buffer_block::capacity - out_used_ < n) out_block_.reset();
    if (!out_block_) {
        out_block_ = pool_->acquire();
        out_used_ = 0;
    }
    return {out_block_.data() + out_used_, std::min(n, buffer_block::capacity)};
}

RPCH_DECL void link::commit(std::size_t n, std::size_t rpc_bytes) {
    if (n == 0) return; // nothing could be made: a segment of nothing would never be written
    const std::byte* data = out_block_.data() + out_used_;
    out_used_ += n;
    output_bytes_ += n;
    if (segments_.size() > sent_) { // grows the last piece where it can
        segment& last = segments_.back();
        if (last.owned.empty() && last.data + last.size == data && last.block) {
            last.size += n;
            last.rpc_bytes += rpc_bytes;
            return;
        }
    }
    segments_.push_back({out_block_, {}, data, n, rpc_bytes});
}

RPCH_DECL void link::write(byte_view bytes, std::size_t rpc_bytes) {
    while (!bytes.empty()) {
        const std::size_t n = std::min(bytes.size(), buffer_block::capacity);
        const byte_span space = reserve(n);
        std::memcpy(space.data(), bytes.data(), n);
        bytes = bytes.subspan(n);
        commit(n, bytes.empty() ? rpc_bytes : 0);
    }
}

RPCH_DECL void link::forward(const pdu_ref& pdu, std::size_t rpc_bytes) {
    if (pdu.first_block == nullptr)
        return write(pdu.view.first, rpc_bytes); // an RTS PDU, put together
    output_bytes_ += pdu.view.size();
    const bool split = !pdu.view.second.empty();
    if (segments_.size() > sent_ && !split) { // neighbours in the same block become one piece
        segment& last = segments_.back();
        if (last.block && last.data + last.size == pdu.view.first.data()) {
            last.size += pdu.view.first.size();
            last.rpc_bytes += rpc_bytes;
            return;
        }
    }
    segments_.push_back({*pdu.first_block,
                         {},
                         pdu.view.first.data(),
                         pdu.view.first.size(),
                         split ? 0 : rpc_bytes});
    if (split)
        segments_.push_back(
            {*pdu.second_block, {}, pdu.view.second.data(), pdu.view.second.size(), rpc_bytes});
}

RPCH_DECL void link::write_owned(std::vector<std::byte> bytes, std::size_t rpc_bytes) {
    if (bytes.empty()) return;
    output_bytes_ += bytes.size();
    segment s{{}, std::move(bytes), nullptr, 0, rpc_bytes};
    s.data = s.owned.data();
    s.size = s.owned.size();
    segments_.push_back(std::move(s));
}

RPCH_DECL std::size_t link::flush() {
    if (!is_open() || write_armed_ || !output_pending()) return 0;
    std::error_code ec;
    const std::size_t rpc = memory_ ? flush_memory(ec) : tls_ ? flush_tls(ec) : flush_plain(ec);
    if (ec) { // the reading side finds out and tells the owner, once
        write_error_ = ec;
        std::error_code ignored;
        socket_.shutdown(tcp::socket::shutdown_both, ignored);
        drop_output();
        return rpc;
    }
    if (sent_ == segments_.size()) {
        segments_.clear();
        sent_ = 0;
        // In memory the reader holds it until it has read: the next bytes go elsewhere.
        if (memory_ || out_block_.unique()) out_block_.reset();
    } else
        compact_output();
    if (output_pending() && (!handshaking_ || retired_)) arm_write();
    return rpc;
}

RPCH_DECL bool link::output_pending() const noexcept {
    return sent_ != segments_.size() || (tls_ && !tls_->output().empty());
}

RPCH_DECL std::size_t link::flush_plain(std::error_code& ec) {
    std::size_t rpc = 0;
    while (sent_ < segments_.size()) {
        detail::gathered pieces;
        std::size_t size = 0;
        for (std::size_t i = sent_; i < segments_.size() && pieces.count < detail::gather_max;
             ++i) {
            pieces.pieces[pieces.count++] =
                asio::const_buffer(segments_[i].data, segments_[i].size);
            size += segments_[i].size;
        }
        const std::size_t n = socket_.write_some(pieces, ec);
        if (ec == asio::error::would_block || ec == asio::error::try_again) {
            ec = {};
            break;
        }
        if (ec) break;
        rpc += drop_written(n);
        if (n < size) break; // the socket is full
    }
    return rpc;
}

RPCH_DECL std::size_t link::flush_memory(std::error_code& ec) {
    std::size_t rpc = 0;
    const std::size_t from = sent_;
    for (; sent_ < segments_.size(); ++sent_) {
        const std::size_t size = segments_[sent_].size;
        const std::size_t rpc_bytes = segments_[sent_].rpc_bytes;
        if (!memory_.out->put(segments_[sent_], ec)) break;
        output_bytes_ -= size;
        rpc += rpc_bytes;
    }
    if (sent_ != from) memory_.out->wake_reader();
    return rpc;
}

/// Takes `n` written bytes off the queue. @return the RPC bytes of the segments that are done.
RPCH_DECL std::size_t link::drop_written(std::size_t n) {
    std::size_t rpc = 0;
    output_bytes_ -= n;
    while (n != 0 && sent_ < segments_.size()) {
        segment& s = segments_[sent_];
        const std::size_t part = std::min(n, s.size);
        s.data += part;
        s.size -= part;
        n -= part;
        if (s.size != 0) break;
        rpc += s.rpc_bytes;
        s.block.reset();
        s.owned = {};
        ++sent_;
    }
    return rpc;
}

/// Copies queued bytes in front of the queue into `staging`; small pieces share one TLS record.
RPCH_DECL std::size_t link::gather(byte_span staging) const {
    std::size_t n = 0;
    for (std::size_t i = sent_; i < segments_.size() && n < staging.size(); ++i) {
        const std::size_t part = std::min(segments_[i].size, staging.size() - n);
        std::memcpy(staging.data() + n, segments_[i].data, part);
        n += part;
    }
    return n;
}

RPCH_DECL std::size_t link::flush_tls(std::error_code& ec) {
    std::size_t rpc = 0;
    std::array<std::byte, 16 * 1024> staging; // NOLINT: one record; encryption copies it anyway
    if (!push_ciphertext(ec) || handshaking_) return rpc;
    while (sent_ < segments_.size()) {
        const segment& head = segments_[sent_];
        byte_view next(head.data, head.size);
        if (head.size < staging.size() && sent_ + 1 < segments_.size())
            next = byte_view(staging.data(), gather(staging));
        const tls_io put = tls_->write(next);
        if (put.status == tls_status::failed) {
            ec = tls_->error();
            error_detail_ = tls_->error_detail();
            return rpc;
        }
        rpc += drop_written(put.bytes);
        if (put.bytes != 0 && tls_->output().size() < 32 * 1024) continue; // gather more records
        if (!push_ciphertext(ec) || put.bytes == 0) return rpc;
    }
    push_ciphertext(ec);
    return rpc;
}

/// @return whether all ciphertext went out.
RPCH_DECL bool link::push_ciphertext(std::error_code& ec) {
    while (!tls_->output().empty()) {
        const byte_view out = tls_->output();
        const std::size_t n = socket_.write_some(asio::buffer(out.data(), out.size()), ec);
        if (ec == asio::error::would_block || ec == asio::error::try_again) {
            ec = {};
            return false;
        }
        if (ec) return false;
        tls_->consume_output(n);
    }
    return true;
}

/// Small pieces of many blocks would pin far more memory than they hold; a slow peer's queue is
/// copied together once it looks like that.
RPCH_DECL void link::compact_output() {
    const std::size_t count = segments_.size() - sent_;
    if (count < 16 || output_bytes_ / count > 4096) return;
    std::vector<segment> old;
    old.swap(segments_);
    const std::size_t from = std::exchange(sent_, 0);
    out_block_.reset();
    output_bytes_ = 0;
    for (std::size_t i = from; i < old.size(); ++i) {
        write(byte_view(old[i].data, old[i].size), old[i].rpc_bytes);
        pool_->note_copied(old[i].size);
    }
}

} // namespace rpch::inline RPCH_ABI::transport
