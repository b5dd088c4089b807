// One connection, plain TCP, TLS or in memory: bytes in, PDUs out of them, gathered writes.
#ifndef RPCH_TRANSPORT_LINK_HPP
#define RPCH_TRANSPORT_LINK_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <rpch/core/split_view.hpp>
#include <rpch/dcerpc/common_header.hpp>
#include <rpch/http/body.hpp>
#include <rpch/transport/buffer_pool.hpp>
#include <rpch/transport/detail/memory_pipe.hpp>
#include <rpch/transport/executor.hpp>
#include <rpch/transport/tls_engine.hpp>

namespace rpch::inline RPCH_ABI::transport {

class link;

/// What a link tells its owner; always on the owner's strand, never from within a call to the link.
class link_owner {
  public:
    virtual ~link_owner() = default;
    /// The TLS handshake is done (TLS links only).
    virtual void on_secured(link& from) = 0;
    /// New bytes are in `input()`.
    virtual void on_input(link& from) = 0;
    /// The other side takes bytes again after a flush that could not write all.
    virtual void on_writable(link& from) = 0;
    /// The connection ended. `errc::channel_closed`: the peer ended its bytes between two PDUs, in
    /// order, and nothing of ours was left to write; whether anything else was unfinished is for
    /// the owner to say. `errc::connection_lost`: a reset, or an end in the middle. Or an error of
    /// TLS. `error_detail` may say more. Told once; the link is closed.
    virtual void on_closed(link& from, std::error_code why) = 0;
    /// Keeps the owner alive while an operation of one of its links is under way.
    virtual std::shared_ptr<link_owner> keep_alive() = 0;
};

/// A PDU in a link's input, with the blocks that hold it, so that it can be passed on without a
/// copy.
struct pdu_ref {
    core::split_view view;
    const block_ref* first_block = nullptr;
    const block_ref* second_block = nullptr;
};

/// One TCP connection, driven by readiness: an idle link holds no buffer. It waits until the socket
/// is readable, borrows a block, reads, and tells its owner; what the owner queued goes out in one
/// gathered write by `flush`. One strand; not thread safe.
///
/// A pair of links may also be joined in memory, see `make_link_pair`; owners need not know.
class link : public std::enable_shared_from_this<link> {
  public:
    /// How long a link that is finished is written, and then read, at most.
    static constexpr std::chrono::milliseconds linger_wait{2000};

    /// Who ends the sending direction of a retired link first.
    enum class farewell : std::uint8_t {
        at_once,   ///< We do, when all is written.
        after_peer ///< The peer does, or the linger time is over.
    };

    /// Takes a connected socket whose executor is the owner's strand.
    /// @param owner  outlives the link or calls `detach`.
    link(tcp::socket socket, std::shared_ptr<buffer_pool> pool, link_owner& owner);
    /// One of a pair; for `make_link_pair`.
    link(const strand& on, detail::memory_end end, std::shared_ptr<buffer_pool> pool,
         link_owner& owner);
    ~link();
    link(const link&) = delete;
    link& operator=(const link&) = delete;

    /// Makes this a TLS link; call before `start`. Not for links in memory.
    void use_tls(std::unique_ptr<tls_engine> engine);
    /// Begins to read, and first to shake hands on a TLS link.
    void start();
    /// Hands the link to another owner on the same strand.
    void set_owner(link_owner& owner) noexcept { owner_ = &owner; }
    /// Pauses or goes on reading; what was read already stays in `input()`. A reset by the peer is
    /// told even meanwhile, an orderly end is not, for bytes may stand before it: see
    /// `peer_has_ended`.
    void want_input(bool wanted);
    /// @return whether the peer has ended its direction, or the connection, though bytes that were
    ///         not read stand before the end; false while not all of them have come, for a link in
    ///         memory, and where the system cannot tell.
    [[nodiscard]] bool peer_has_ended();

    // Input.
    /// @return the bytes that were read and not consumed, made contiguous; for heads, not for PDUs.
    [[nodiscard]] byte_view input();
    [[nodiscard]] std::size_t input_size() const noexcept;
    /// @return the first piece of the unconsumed input, as it lies; nothing is moved.
    [[nodiscard]] byte_view front() const noexcept;
    /// Finds the next whole PDU. The views stay good until `consume`.
    /// @param allowed  body bytes that are left on this channel.
    /// @return nothing while the PDU is incomplete.
    /// @errors what `peek_frag_length` says, errc::too_large for an RTS PDU above its limit,
    ///         errc::lifetime_exceeded for a PDU that does not fit into `allowed`.
    [[nodiscard]] result<std::optional<pdu_ref>> next_pdu(std::uint64_t allowed);
    /// Drops `n` bytes from the front of the input.
    void consume(std::size_t n);
    /// From now on every byte read (and what is in `input()`) passes through a chunked decoder; the
    /// caller owns it and keeps it for the link's life.
    std::error_code decode_chunks(http::chunked_decoder& decoder);
    /// After this, input is cut into PDUs: a PDU that straddles two blocks stays where it is.
    void expect_pdus() noexcept { framing_ = true; }

    // Output: queued here, written by `flush`.
    /// @return room for `n` bytes (at most 64 KiB) to be filled by the caller and then committed.
    [[nodiscard]] byte_span reserve(std::size_t n);
    /// Queues the first `n` bytes of the last `reserve`. @param rpc_bytes  counted when written.
    void commit(std::size_t n, std::size_t rpc_bytes);
    /// Queues a copy.
    void write(byte_view bytes, std::size_t rpc_bytes = 0);
    /// Queues a PDU of another link's input without a copy: the blocks are shared.
    void forward(const pdu_ref& pdu, std::size_t rpc_bytes);
    /// Queues bytes it takes over.
    void write_owned(std::vector<std::byte> bytes, std::size_t rpc_bytes);
    /// Writes what is queued, as far as the other side takes it.
    /// @return the RPC bytes (whole PDUs) that went out, by the sums given with them.
    std::size_t flush();
    /// @return queued bytes that are not written yet.
    [[nodiscard]] std::size_t output_size() const noexcept { return output_bytes_; }
    /// @return whether anything, TLS records included, still waits for the socket.
    [[nodiscard]] bool output_pending() const noexcept;

    // The end.
    /// Closes at once; nothing is told any more.
    void close();
    /// Sends what is queued, ends the sending direction, reads and drops what still comes for a
    /// moment, then closes: a reset must not wipe out the last bytes (failure responses, B1). From
    /// now on the owner is told nothing and is not kept alive; input, old and new, is dropped.
    /// @param write_wait  what is queued has this long to get out; what is not out then is lost.
    /// @param linger  how long is read and dropped after that, counted from the last byte sent.
    /// @param how  `after_peer` where an HTTP front may stand in between: it takes the end of an
    ///             incomplete body for an abort, and drops what it still holds.
    void retire(std::chrono::milliseconds write_wait,
                std::chrono::milliseconds linger = linger_wait, farewell how = farewell::at_once);
    /// Retires a link whose peer is expected to read: nothing of value waits for long.
    void finish() { retire(linger_wait); }
    [[nodiscard]] bool is_open() const noexcept {
        return memory_ ? memory_.is_open() : socket_.is_open();
    }

    /// Switches TCP keep-alive on, see `set_tcp_keep_alive`; nothing for a link in memory.
    void set_keep_alive(std::chrono::milliseconds interval);
    /// @return the address of the peer; the unspecified one if it is unknown or there is none.
    [[nodiscard]] asio::ip::address peer_address() const;
    /// @return the port of this end; 0 if it is unknown or there is none.
    [[nodiscard]] std::uint16_t local_port() const;
    [[nodiscard]] const tls_engine* tls() const noexcept { return tls_.get(); }
    /// @return more about the error told last, for people; empty if there is nothing more.
    [[nodiscard]] const std::string& error_detail() const noexcept { return error_detail_; }

  private:
    using segment = detail::output_segment;
    struct read_ready;
    struct write_ready;
    struct broken;

    // What differs between a socket and memory.
    template <class Handler>
    void when_readable(Handler handler);
    template <class Handler>
    void when_writable(Handler handler);
    std::size_t read_some(byte_span space, std::error_code& ec);
    void end_sending();
    void cancel_waits();

    [[nodiscard]] bool tls_holds_input() const noexcept;
    void arm_read();
    void arm_write();
    void watch_for_reset();
    void on_read_ready(std::error_code ec);
    bool read_once(std::error_code& ec);
    std::error_code meaning_of(std::error_code said);
    bool shake_hands();
    byte_span input_space();
    std::size_t receive_plain(byte_span space, std::error_code& ec);
    std::size_t receive_tls(byte_span space, std::error_code& ec);
    std::size_t filtered(byte_span fresh, std::error_code& ec);
    void roll();
    void end(std::error_code why);
    std::size_t flush_plain(std::error_code& ec);
    std::size_t flush_memory(std::error_code& ec);
    std::size_t flush_tls(std::error_code& ec);
    bool push_ciphertext(std::error_code& ec);
    std::size_t gather(byte_span staging) const;
    std::size_t drop_written(std::size_t n);
    void compact_output();
    void release_idle_input();
    void drop_input();
    void drop_output();
    void close_after(std::chrono::milliseconds wait);
    void write_rest();
    void read_and_drop(std::error_code ec);

    std::shared_ptr<buffer_pool> pool_; // outlives every block borrowed below
    tcp::socket socket_;
    detail::memory_end memory_; // in use instead of the socket, or empty
    link_owner* owner_;
    std::unique_ptr<tls_engine> tls_;
    http::chunked_decoder* chunks_ = nullptr;
    std::unique_ptr<timer> linger_timer_;

    block_ref tail_; // the front of a PDU that goes on in current_
    std::size_t tail_begin_ = 0;
    block_ref current_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::vector<std::byte> rts_scratch_; // an RTS PDU that straddled two blocks
    std::vector<std::byte> ciphertext_;  // read, not yet taken by TLS because the owner paused

    std::vector<segment>
        segments_;         // from sent_ on; emptied, not shifted, so that it never allocates
    std::size_t sent_ = 0; // segments written
    block_ref out_block_;
    std::size_t out_used_ = 0;
    std::size_t output_bytes_ = 0;
    std::chrono::milliseconds linger_{};
    std::size_t linger_budget_ = 0;
    std::string error_detail_;
    std::error_code write_error_; // told when reading ends
    std::error_code held_end_;    // read with the last bytes, told when the owner goes on

    bool handshaking_ = false;
    bool framing_ = false;
    bool wanted_ = true;
    bool read_armed_ = false;
    bool write_armed_ = false;
    bool reset_armed_ = false; // stays so until it fires or the socket is closed
    bool retired_ = false;
    bool counted_ = false;   // among the retired ones of the pool
    bool peer_ends_ = false; // retired with farewell::after_peer
    bool lingering_ = false; // retired, and all is written
};

/// Joins two links in memory: what is flushed on one is input of the other, as over a TCP
/// connection whose buffers hold some 256 KiB. Neither is called from within a call of the other.
/// What goes over is the reference to a block; the reader copies it once, into a block of its own,
/// which no pool notes, since a socket costs the same.
/// @param on    the strand of both owners.
/// @param a, b  own the first and the second link; `set_owner` may replace them before `start`.
[[nodiscard]] RPCH_DECL std::pair<std::shared_ptr<link>, std::shared_ptr<link>>
make_link_pair(const strand& on, const std::shared_ptr<buffer_pool>& pool, link_owner& a,
               link_owner& b);

} // namespace rpch::inline RPCH_ABI::transport

#if defined(RPCH_HEADER_ONLY)
    #include <rpch/transport/impl/link.ipp>
    #include <rpch/transport/impl/link_output.ipp>
#endif

#endif
