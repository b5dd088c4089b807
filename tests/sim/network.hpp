// TCP connections as streams of bytes: cut anywhere, late, with full buffers, and sometimes broken.
#ifndef RPCH_TESTS_SIM_NETWORK_HPP
#define RPCH_TESTS_SIM_NETWORK_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <system_error>
#include <vector>

#include <rpch/core/split_view.hpp>
#include <rpch/result.hpp>

#include "tests/sim/clock.hpp"
#include "tests/sim/random.hpp"

namespace sim {

class link;
class network;
struct connection;

/// Who reads and writes an end of a connection.
class link_owner {
  public:
    virtual void on_input(link& from) = 0;
    virtual void on_writable(link& to) = 0;
    virtual void on_closed(link& which, std::error_code why) = 0;

  protected:
    ~link_owner() = default;
};

/// How one direction of a connection behaves.
struct pipe_character {
    std::uint32_t delay_us = 100;    ///< At least, for each piece.
    std::uint32_t more_us = 400;     ///< And up to so much more.
    std::uint32_t cut = 4096;        ///< Bytes of a piece, at most.
    std::uint32_t room = 16384;      ///< Bytes on the way or unread, at most.
    std::uint32_t stall_once_in = 0; ///< A piece may take much longer; 0 is never.
    std::uint32_t stall_ms = 0;
};

/// One direction of a connection.
struct pipe {
    pipe_character character;
    std::vector<std::byte> ring;
    std::size_t begin = 0;
    std::size_t stored = 0;  ///< On the way or unread.
    std::size_t arrived = 0; ///< Of these, what can be read.
    bool ended = false;      ///< Nothing follows what is stored.
    bool end_arrived = false;
    std::error_code end_why;
    bool delivering = false;
    bool writer_waits = false;
    time_point stalled_until{};
};

/// One end of a connection, as the transport's link: queues output, counts what of it reached the
/// socket, cuts PDUs off the input, and can be retired.
class link {
  public:
    link(network& of, connection& on, std::uint8_t side) noexcept
        : network_(of), on_(on), side_(side) {}

    void set_owner(link_owner& owner) noexcept { owner_ = &owner; }
    [[nodiscard]] bool is_open() const noexcept { return open_ && !retired_; }

    void write(rpch::byte_view bytes, std::size_t rpc_bytes = 0);
    void write(const rpch::core::split_view& pdu, std::size_t rpc_bytes);
    /// @return RPC bytes of the pieces that have reached the socket completely.
    std::size_t flush();
    [[nodiscard]] std::size_t output_size() const noexcept { return out_.size() - out_begin_; }

    [[nodiscard]] rpch::byte_view input() const noexcept {
        return rpch::byte_view(in_).subspan(in_begin_);
    }
    /// @return the next whole PDU, in two pieces if the seed wants it so.
    [[nodiscard]] rpch::result<std::optional<rpch::core::split_view>> next_pdu(std::uint64_t left);
    void consume(std::size_t n) noexcept;
    void want_input(bool on);

    /// What was written before still goes out, within `wait`; nobody is told anything any more.
    /// @param linger  how long it then reads on.
    /// @param peer_ends  the peer ends its direction first, or `linger` is over.
    void retire(milliseconds wait, milliseconds linger = linger_wait, bool peer_ends = false);
    static constexpr milliseconds linger_wait{2000};
    /// At once; the owner is not told.
    void close();
    void keep_alive(milliseconds interval) noexcept { keep_alive_ = interval; }

    [[nodiscard]] const connection& on() const noexcept { return on_; }
    [[nodiscard]] std::uint8_t side() const noexcept { return side_; }

  private:
    friend class network;
    struct segment {
        std::size_t left;
        std::size_t rpc_bytes;
    };
    void write_rest();

    network& network_;
    connection& on_;
    std::uint8_t side_;
    link_owner* owner_ = nullptr;
    std::vector<std::byte> out_;
    std::size_t out_begin_ = 0;
    std::vector<segment> segments_;
    std::size_t sent_ = 0;
    std::vector<std::byte> in_;
    std::size_t in_begin_ = 0;
    std::optional<milliseconds> keep_alive_;
    time_point deadline_{};
    bool open_ = true;
    bool wanted_ = true;
    bool retired_ = false;
    bool lingering_ = false;
    bool peer_ends_ = false;
    milliseconds linger_{};
    bool will_be_told_ = false;
};

struct connection {
    connection(network& home, std::uint32_t number)
        : id(number), ends{link(home, *this, 0), link(home, *this, 1)} {}
    std::uint32_t id;
    std::array<link, 2> ends;     ///< 0 has connected, 1 has accepted.
    std::array<pipe, 2> pipes;    ///< By the side that writes.
    std::uint32_t of = 0;         ///< The virtual connection it belongs to.
    std::array<int, 2> process{}; ///< Whose ends these are.
    bool broken = false;          ///< Nothing arrives any more.
    bool silent = false;          ///< And nobody answers that it does not.
};

class network {
  public:
    network(clock& time, random& draw) noexcept : time_(time), draw_(draw) {}

    connection& connect(const pipe_character& there, const pipe_character& back);
    /// Handles an event of a connection.
    void handle(const event& e);
    /// Frees what both ends have closed.
    void collect();

    // Faults.
    /// Both ends learn at once that the connection is gone.
    void reset(connection& c);
    /// One end learns it; the other only when it writes.
    void half_open(connection& c, std::uint8_t told);
    /// Bytes vanish; an end learns it when its bytes are not confirmed, or by a keep-alive.
    void go_dead(connection& c);

    [[nodiscard]] connection* find(std::uint32_t id) const noexcept {
        return id < all_.size() ? all_[id].get() : nullptr;
    }
    [[nodiscard]] std::uint32_t made() const noexcept {
        return static_cast<std::uint32_t>(all_.size());
    }
    [[nodiscard]] std::size_t open() const noexcept { return open_; }

  private:
    friend class link;
    void schedule_delivery(connection& c, std::uint8_t side);
    void deliver(connection& c, std::uint8_t side);
    void read(connection& c, std::uint8_t side);
    void made_room(connection& c, std::uint8_t side);
    void tell(connection& c, std::uint8_t side);
    void tell_later(link& l);

    clock& time_;
    random& draw_;
    std::vector<std::unique_ptr<connection>> all_;
    std::vector<std::uint32_t> closed_;
    std::vector<std::vector<std::byte>> rings_; ///< To be used again.
    std::size_t open_ = 0;
};

} // namespace sim

#endif
