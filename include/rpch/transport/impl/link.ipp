#include <rpch/transport/link.hpp>

#include <algorithm>
#include <array>
#include <utility>

#include <gsl/assert>

#include <rpch/transport/tcp_keep_alive.hpp>

#include <asio/buffer.hpp>
#include <asio/error.hpp>
#include <asio/post.hpp>

#if __has_include(<poll.h>)
    #include <poll.h>
#endif

namespace rpch::inline RPCH_ABI::transport {

namespace detail {

/// Bytes of a header that next_pdu's callers may read without looking for the second piece.
inline constexpr std::size_t header_bytes_contiguous = 32;
/// Reads in a row before other connections get their turn.
inline constexpr int reads_in_a_row = 4;
/// What a retired connection may still send: while output waits, before it is left unread; after
/// that, once more, before it is cut off.
inline constexpr std::size_t linger_bytes_max = std::size_t{8} << 20;

} // namespace detail

/// Waits for input; keeps link and owner alive meanwhile.
struct link::read_ready {
    std::shared_ptr<link_owner> owner;
    std::shared_ptr<link> self;
    void operator()(std::error_code ec) {
        self->read_armed_ = false;
        if (self->retired_) // aborted by `retire`
            self->read_and_drop(ec == asio::error::operation_aborted ? std::error_code{} : ec);
        else
            self->on_read_ready(ec);
    }
};

struct link::write_ready {
    std::shared_ptr<link_owner> owner;
    std::shared_ptr<link> self;
    void operator()(std::error_code ec) {
        self->write_armed_ = false;
        if (!self->is_open()) return;
        if (self->retired_) { // maybe aborted by `retire`
            self->write_rest();
            self->read_and_drop({});
        } else if (!ec)
            self->owner_->on_writable(*self);
    }
};

/// Waits for a reset while nothing is read. Does not keep the owner alive: it has nothing to say to
/// an owner that is gone.
struct link::broken {
    std::weak_ptr<link> self;
    void operator()(std::error_code ec) {
        const auto here = self.lock();
        if (!here) return;
        here->reset_armed_ = false;
        if (ec || !here->is_open() || here->retired_ || here->wanted_) return;
        asio::detail::socket_option::integer<SOL_SOCKET, SO_ERROR> error;
        std::error_code failed;
        here->socket_.get_option(error, failed);
        // Without an error it is urgent data, which nobody here sends, or a write took the error.
        if (failed || (error.value() == 0 && !here->write_error_)) return;
        const auto owner = here->owner_->keep_alive();
        const auto said = error.value() != 0
                              ? std::error_code(error.value(), std::system_category())
                              : here->write_error_;
        here->error_detail_ = said.message();
        here->end(errc::connection_lost);
    }
};

RPCH_DECL link::link(tcp::socket socket, std::shared_ptr<buffer_pool> pool, link_owner& owner)
    : pool_(std::move(pool)), socket_(std::move(socket)), owner_(&owner) {
    std::error_code ignored; // a socket that refuses an option still works
    socket_.non_blocking(true, ignored);
    socket_.set_option(tcp::no_delay(true), ignored); // M14: 20-byte PDUs must not wait for Nagle
}

RPCH_DECL link::link(const strand& on, detail::memory_end end, std::shared_ptr<buffer_pool> pool,
                     link_owner& owner)
    : pool_(std::move(pool)), socket_(on), memory_(std::move(end)), owner_(&owner) {}

RPCH_DECL link::~link() {
    if (memory_) memory_.close();
    if (counted_) pool_->note_retired(-1);
}

RPCH_DECL std::pair<std::shared_ptr<link>, std::shared_ptr<link>>
make_link_pair(const strand& on, const std::shared_ptr<buffer_pool>& pool, link_owner& a,
               link_owner& b) {
    const auto there = std::make_shared<detail::memory_pipe>(on);
    const auto back = std::make_shared<detail::memory_pipe>(on);
    return {std::make_shared<link>(on, detail::memory_end{back, there}, pool, a),
            std::make_shared<link>(on, detail::memory_end{there, back}, pool, b)};
}

RPCH_DECL void link::use_tls(std::unique_ptr<tls_engine> engine) {
    Expects(!memory_);
    tls_ = std::move(engine);
}

template <class Handler>
void link::when_readable(Handler handler) {
    if (memory_)
        memory_.in->when_readable(std::move(handler));
    else
        socket_.async_wait(tcp::socket::wait_read, std::move(handler));
}

template <class Handler>
void link::when_writable(Handler handler) {
    if (memory_)
        memory_.out->when_writable(std::move(handler));
    else
        socket_.async_wait(tcp::socket::wait_write, std::move(handler));
}

RPCH_DECL std::size_t link::read_some(byte_span space, std::error_code& ec) {
    return memory_ ? memory_.in->take(space, ec)
                   : socket_.read_some(asio::buffer(space.data(), space.size()), ec);
}

RPCH_DECL void link::end_sending() {
    std::error_code ignored;
    if (memory_)
        memory_.out->end();
    else
        socket_.shutdown(tcp::socket::shutdown_send, ignored);
}

RPCH_DECL void link::cancel_waits() {
    std::error_code ignored;
    if (memory_) {
        memory_.in->wake_reader();
        memory_.out->wake_writer();
    } else
        socket_.cancel(ignored);
}

RPCH_DECL void link::set_keep_alive(std::chrono::milliseconds interval) {
    if (!memory_) set_tcp_keep_alive(socket_, interval);
}

RPCH_DECL asio::ip::address link::peer_address() const {
    std::error_code ec;
    return socket_.remote_endpoint(ec).address();
}

RPCH_DECL std::uint16_t link::local_port() const {
    std::error_code ec;
    return socket_.local_endpoint(ec).port();
}

RPCH_DECL void link::start() {
    const auto self = shared_from_this(); // the owner may let go of us in a callback
    if (tls_) {
        handshaking_ = true;
        if (!shake_hands()) return; // a client speaks first
    }
    arm_read();
}

RPCH_DECL void link::want_input(bool wanted) {
    wanted_ = wanted;
    if (!wanted) return watch_for_reset();
    release_idle_input();
    arm_read();
}

RPCH_DECL bool link::peer_has_ended() {
    if (is_open() && held_end_) return true;
#if defined(POLLRDHUP)
    if (memory_ || !is_open()) return false;
    pollfd end{socket_.native_handle(), POLLRDHUP, 0};
    return ::poll(&end, 1, 0) > 0;
#else
    return false;
#endif
}

RPCH_DECL void link::arm_read() {
    if (!wanted_ || !is_open() || retired_) return;
    // Apart from what may be armed: the socket need not become readable again.
    if (held_end_)
        return asio::post(socket_.get_executor(),
                          [owner = owner_->keep_alive(), self = shared_from_this()] {
                              if (!self->retired_ && self->wanted_)
                                  self->end(self->meaning_of(self->held_end_));
                          });
    if (read_armed_) return;
    read_armed_ = true;
    read_ready next{owner_->keep_alive(), shared_from_this()};
    // What TLS holds already makes no socket readable.
    if (tls_holds_input())
        asio::post(socket_.get_executor(), [next]() mutable { next({}); });
    else
        when_readable(std::move(next));
}

RPCH_DECL void link::watch_for_reset() {
    if (memory_ || reset_armed_ || !is_open() || retired_) return;
    reset_armed_ = true;
    socket_.async_wait(tcp::socket::wait_error, broken{weak_from_this()});
}

RPCH_DECL bool link::tls_holds_input() const noexcept {
    return tls_ && !handshaking_ && (!ciphertext_.empty() || tls_->buffered_plaintext() != 0);
}

RPCH_DECL void link::arm_write() {
    if (write_armed_ || !is_open()) return;
    write_armed_ = true;
    when_writable(write_ready{retired_ ? nullptr : owner_->keep_alive(), shared_from_this()});
}

RPCH_DECL void link::on_read_ready(std::error_code ec) {
    if (!is_open()) return;
    if (ec) {
        if (ec != asio::error::operation_aborted) end(meaning_of(ec));
        return;
    }
    const auto self = shared_from_this(); // the owner may let go of us in a callback
    if (wanted_ && held_end_) return end(meaning_of(held_end_));
    for (int i = 0; i < detail::reads_in_a_row && wanted_; ++i) {
        const bool more = read_once(ec);
        if (!is_open() || retired_) return;
        // The owner paused on what came before the end, and has it still. Not so for what the
        // system says, which it says once: `broken` would not hear of it.
        const bool is_told_later = ec == asio::error::eof || ec.category() == rpch_category();
        if (ec && !wanted_ && is_told_later) {
            held_end_ = ec;
            return;
        }
        if (ec) return end(meaning_of(ec));
        if (!more) break;
    }
    arm_read();
}

/// What ended the connection, as its owner is told: an end is orderly if it leaves nothing
/// unfinished, and then needs no close_notify either. Within a TLS record it never is.
RPCH_DECL std::error_code link::meaning_of(std::error_code said) {
    if (write_error_ && said.category() != rpch_category()) said = write_error_;
    const bool is_cut = handshaking_ || (tls_ && tls_->is_within_record());
    const bool ended = said == asio::error::eof || (said == errc::tls_truncated && !is_cut);
    if (ended && input_size() == 0 && !output_pending()) return errc::channel_closed;
    if (said.category() == rpch_category()) return said;
    error_detail_ = said != asio::error::eof ? said.message()
                    : input_size() != 0      ? "it ended in the middle of a PDU or a head"
                                             : "it ended before all was sent";
    return errc::connection_lost;
}

/// Reads once and tells the owner.
/// @return whether more may be waiting in the socket.
RPCH_DECL bool link::read_once(std::error_code& ec) {
    const byte_span space = input_space();
    if (space.empty()) { // the owner left a full buffer unconsumed: it must pause, not stall us
        ec = errc::too_large;
        return false;
    }
    const std::size_t n = tls_ ? receive_tls(space, ec) : receive_plain(space, ec);
    if (!is_open() || retired_) return false;
    if (n != 0) {
        end_ += n;
        owner_->on_input(*this);
        if (!is_open() || retired_) return false;
    }
    if (!ec && chunks_ != nullptr && chunks_->is_done()) ec = asio::error::eof;
    release_idle_input();
    return !ec && n == space.size();
}

/// Idle links hold no block.
RPCH_DECL void link::release_idle_input() {
    if (begin_ != end_ || tail_) return;
    current_.reset();
    begin_ = end_ = 0;
}

RPCH_DECL byte_span link::input_space() {
    if (!current_) {
        current_ = pool_->acquire();
        begin_ = end_ = 0;
    }
    if (end_ == buffer_block::capacity) roll();
    return {current_.data() + end_, buffer_block::capacity - end_};
}

/// The block is full and ends within a PDU or head: goes on in a fresh block. A PDU stays where it
/// is and continues there; short fronts and heads move, so that headers lie in one piece.
RPCH_DECL void link::roll() {
    const std::size_t rest = end_ - begin_;
    if (tail_ || rest == buffer_block::capacity) return; // nothing was consumed
    block_ref fresh = pool_->acquire();
    if (framing_ && rest >= detail::header_bytes_contiguous) {
        tail_ = std::move(current_);
        tail_begin_ = begin_;
        begin_ = end_ = 0;
    } else {
        std::memcpy(fresh.data(), current_.data() + begin_, rest);
        pool_->note_copied(rest);
        begin_ = 0;
        end_ = rest;
    }
    current_ = std::move(fresh);
}

RPCH_DECL std::size_t link::receive_plain(byte_span space, std::error_code& ec) {
    const std::size_t n = read_some(space, ec);
    if (ec == asio::error::would_block || ec == asio::error::try_again) {
        ec = {};
        return 0;
    }
    if (ec) return 0;
    return chunks_ != nullptr ? filtered(space.first(n), ec) : n;
}

RPCH_DECL std::size_t link::filtered(byte_span fresh, std::error_code& ec) {
    const auto decoded = chunks_->decode(fresh);
    if (!decoded) {
        ec = decoded.error();
        return 0;
    }
    return decoded->payload;
}

/// Moves ciphertext from the socket through TLS into `space`.
RPCH_DECL std::size_t link::receive_tls(byte_span space, std::error_code& ec) {
    // One scratch per call is enough: TLS takes in all of it unless `space` is used up before.
    std::array<std::byte, 20 * 1024> scratch; // NOLINT: filled by the socket
    byte_view fresh;
    if (!tls_holds_input()) {
        const std::size_t n = socket_.read_some(asio::buffer(scratch.data(), scratch.size()), ec);
        if (ec == asio::error::would_block || ec == asio::error::try_again) {
            ec = {};
            return 0;
        }
        if (ec && (ec != asio::error::eof || write_error_) && !handshaking_) return 0;
        if (ec) {
            tls_->set_end_of_input(); // a stream cut without close_notify is told apart
            const tls_io last = tls_->read(space);
            if (last.status == tls_status::failed) {
                error_detail_ = tls_->error_detail();
                ec = tls_->error();
            }
            return last.bytes;
        }
        fresh = byte_view(scratch.data(), n);
    } else
        fresh = ciphertext_;
    tls_->set_input(fresh);
    std::size_t plain = 0;
    if (handshaking_ && !shake_hands()) return 0;
    while (!handshaking_ && plain < space.size()) {
        const tls_io got = tls_->read(space.subspan(plain));
        plain += got.bytes;
        if (got.status == tls_status::failed || got.status == tls_status::closed) {
            ec = got.status == tls_status::closed ? std::error_code(asio::error::eof)
                                                  : tls_->error();
            error_detail_ = tls_->error_detail();
            break;
        }
        if (got.status != tls_status::done || got.bytes == 0) break;
    }
    const byte_view rest = tls_->remaining_input();
    std::vector<std::byte> kept(rest.begin(), rest.end()); // empty but when `space` was used up
    ciphertext_.swap(kept);
    tls_->set_input({});
    std::error_code unsent; // apart: an alert that goes out does not undo the error it tells of
    if (!push_ciphertext(unsent)) arm_write();
    if (!ec) ec = unsent;
    if (plain != 0 && chunks_ != nullptr) plain = filtered(space.first(plain), ec);
    return plain;
}

/// @return false once the link is closed or lost to its owner.
RPCH_DECL bool link::shake_hands() {
    const tls_status status = tls_->handshake();
    std::error_code ec;
    if (!push_ciphertext(ec)) arm_write();
    if (status == tls_status::failed || status == tls_status::closed || ec) {
        error_detail_ = tls_->error_detail();
        end(status == tls_status::failed ? tls_->error() : meaning_of(ec ? ec : asio::error::eof));
        return false;
    }
    if (status == tls_status::done) {
        handshaking_ = false;
        owner_->on_secured(*this);
    }
    return is_open() && !retired_;
}

RPCH_DECL byte_view link::input() {
    if (tail_) { // only after a PDU stream turned out to be something else
        const std::size_t front = buffer_block::capacity - tail_begin_;
        const std::size_t rest = end_ - begin_;
        if (front + rest <= buffer_block::capacity) {
            block_ref fresh = pool_->acquire();
            std::memcpy(fresh.data(), tail_.data() + tail_begin_, front);
            std::memcpy(fresh.data() + front, current_.data() + begin_, rest);
            pool_->note_copied(front + rest);
            tail_.reset();
            current_ = std::move(fresh);
            begin_ = 0;
            end_ = front + rest;
        }
    }
    return current_ ? byte_view(current_.data() + begin_, end_ - begin_) : byte_view{};
}

RPCH_DECL byte_view link::front() const noexcept {
    if (tail_) return {tail_.data() + tail_begin_, buffer_block::capacity - tail_begin_};
    return current_ ? byte_view(current_.data() + begin_, end_ - begin_) : byte_view{};
}

RPCH_DECL std::size_t link::input_size() const noexcept {
    return (tail_ ? buffer_block::capacity - tail_begin_ : 0) + (end_ - begin_);
}

RPCH_DECL result<std::optional<pdu_ref>> link::next_pdu(std::uint64_t allowed) {
    if (!current_) return std::optional<pdu_ref>{};
    if (tail_ && buffer_block::capacity - tail_begin_ < detail::header_bytes_contiguous)
        static_cast<void>(input()); // not reached by whole PDUs; a header must lie in one piece
    const byte_view here(current_.data() + begin_, end_ - begin_);
    const byte_view front =
        tail_ ? byte_view(tail_.data() + tail_begin_, buffer_block::capacity - tail_begin_) : here;
    const auto length = dcerpc::peek_frag_length(front);
    if (!length) return fail(length.error());
    if (!*length) return std::optional<pdu_ref>{};
    const std::size_t size = **length;
    const bool is_rts = dcerpc::peek_type(front) == dcerpc::pdu_type::rts;
    if (is_rts && size > limits::rts_pdu_bytes_max) return fail(errc::too_large);
    if (size > allowed) return fail(errc::lifetime_exceeded);
    if (input_size() < size) return std::optional<pdu_ref>{};
    pdu_ref out;
    if (!tail_) {
        out.view.first = here.first(size);
        out.first_block = &current_;
    } else if (size <= front.size()) {
        out.view.first = front.first(size);
        out.first_block = &tail_;
    } else if (is_rts) { // machines read RTS PDUs in one piece
        rts_scratch_.assign(front.begin(), front.end());
        const auto more = here.first(size - front.size());
        rts_scratch_.insert(rts_scratch_.end(), more.begin(), more.end());
        pool_->note_copied(size);
        out.view.first = rts_scratch_;
    } else {
        out.view.first = front;
        out.view.second = here.first(size - front.size());
        out.first_block = &tail_;
        out.second_block = &current_;
    }
    return std::optional<pdu_ref>{out};
}

RPCH_DECL void link::consume(std::size_t n) {
    if (tail_) {
        const std::size_t front = std::min(n, buffer_block::capacity - tail_begin_);
        tail_begin_ += front;
        n -= front;
        if (tail_begin_ == buffer_block::capacity) tail_.reset();
    }
    begin_ += n;
    if (begin_ == end_ && current_.unique()) begin_ = end_ = 0; // nobody else looks at it
}

RPCH_DECL std::error_code link::decode_chunks(http::chunked_decoder& decoder) {
    chunks_ = &decoder;
    const byte_view waiting = input();
    if (waiting.empty()) return {};
    std::error_code ec;
    end_ = begin_ + filtered(byte_span(current_.data() + begin_, waiting.size()), ec);
    return ec;
}

RPCH_DECL void link::end(std::error_code why) {
    if (!is_open()) return;
    close();
    owner_->on_closed(*this, why);
}

RPCH_DECL void link::close() {
    std::error_code ignored;
    if (memory_)
        memory_.close();
    else
        socket_.close(ignored);
    drop_output();
    drop_input();
    if (linger_timer_) linger_timer_->cancel();
    if (std::exchange(counted_, false)) pool_->note_retired(-1);
}

RPCH_DECL void link::drop_output() {
    segments_.clear();
    sent_ = output_bytes_ = 0;
    out_block_.reset();
    if (tls_) tls_->consume_output(tls_->output().size());
}

RPCH_DECL void link::drop_input() {
    tail_.reset();
    current_.reset();
    begin_ = end_ = 0;
    ciphertext_ = {};
}

RPCH_DECL void link::retire(std::chrono::milliseconds write_wait, std::chrono::milliseconds linger,
                            farewell how) {
    if (!is_open() || retired_) return;
    flush();
    retired_ = counted_ = true;
    pool_->note_retired(1);
    linger_ = linger;
    peer_ends_ = how == farewell::after_peer;
    linger_budget_ = detail::linger_bytes_max;
    linger_timer_ = std::make_unique<timer>(socket_.get_executor());
    close_after(write_wait);
    if (read_armed_ || write_armed_) cancel_waits(); // they hold the owner: let it go now
    if (handshaking_) drop_output();                 // nobody goes on with the handshake
    write_rest();
    // Later, since the owner may be looking at a PDU of ours.
    asio::post(socket_.get_executor(), [self = shared_from_this()] {
        self->drop_input();
        self->read_and_drop({});
    });
}

RPCH_DECL void link::close_after(std::chrono::milliseconds wait) {
    linger_timer_->expires_after(wait);
    linger_timer_->async_wait([self = shared_from_this()](std::error_code ec) {
        // It may have been set to a later time when this was on its way already.
        if (!ec && self->linger_timer_->expiry() <= clock::now()) self->close();
    });
}

/// Writes for a retired link; when all is out, lingers.
RPCH_DECL void link::write_rest() {
    flush();
    std::error_code ec;
    if (tls_ && !handshaking_ && !output_pending() && !peer_ends_) {
        tls_->shutdown();
        push_ciphertext(ec);
        if (ec) drop_output();
        if (output_pending()) arm_write();
    }
    if (output_pending() || lingering_) return;
    lingering_ = true;
    linger_budget_ = detail::linger_bytes_max;
    close_after(linger_);
    if (!peer_ends_) end_sending();
}

/// Goes on reading for a retired link: a peer that does not get rid of its bytes may take none.
RPCH_DECL void link::read_and_drop(std::error_code ec) {
    if (!is_open()) return;
    std::array<std::byte, 4096> dropped; // NOLINT: never looked at
    while (!ec && linger_budget_ != 0) {
        const std::size_t n = read_some(dropped, ec);
        linger_budget_ -= std::min(n, linger_budget_);
    }
    // With output left, it waits: the peer is half-closed or sends too much, and may still read.
    if (!lingering_ && (linger_budget_ == 0 || ec == asio::error::eof)) return;
    if (linger_budget_ == 0) return close();
    if (ec != asio::error::would_block && ec != asio::error::try_again) return close();
    if (read_armed_) return;
    read_armed_ = true;
    when_readable(read_ready{nullptr, shared_from_this()});
}

} // namespace rpch::inline RPCH_ABI::transport
