#ifndef RPCH_BENCH_RELAY_RAW_RELAY_HPP
#define RPCH_BENCH_RELAY_RAW_RELAY_HPP

/// The limits that our calls are measured against: the same bytes, in the same places, through
/// relays that know no protocol. A lead over them is won by fewer system calls, never by fewer
/// bytes.

#include "bench/relay/messages.hpp"
#include "bench/relay/servers.hpp"
#include "bench/support/placed.hpp"
#include "bench/support/rounds.hpp"

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/write.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace bench::relay {

/// Bytes on the wire of a DCE/RPC request or response with so many bytes of stub data: 24 bytes of
/// header in front of each fragment ([C706] 12.6.4.9, 12.6.4.10), fragments of `fragment_max`
/// bytes.
constexpr std::size_t wire_bytes(std::size_t stub_bytes, std::size_t fragment_max = 5840) {
    const std::size_t piece = fragment_max - 24;
    const std::size_t fragments = stub_bytes == 0 ? 1 : (stub_bytes + piece - 1) / piece;
    return stub_bytes + 24 * fragments;
}

struct settings {
    std::size_t request_bytes = wire_bytes(32);  ///< on the wire, at least 4
    std::size_t response_bytes = wire_bytes(32); ///< the same
    std::size_t outstanding = 1;                 ///< calls at once on a connection (pair)
    std::size_t connections = 1;                 ///< connections (pairs) of the client
    std::size_t chunk_bytes = 16384;             ///< most that a relay carries at once
    placement where = placement::processes;      ///< of the relays (together) and of the server
};

/// The calling side: requests leave on one socket, answers come on the same or on another one.
class client {
  public:
    client(const settings& with, std::uint16_t port, bool paired)
        : with_{with}, port_{port}, paired_{paired} {}

    /// Makes `calls` calls; see row::run. Connects when called for the first time.
    void run(std::size_t calls, latencies& out) {
        if (links_.empty())
            for (std::size_t number = 0; number < with_.connections; ++number)
                links_.push_back(std::make_unique<link>(*this, static_cast<std::uint32_t>(number)));
        out_ = &out;
        unsent_ = unanswered_ = calls;
        for (auto& one : links_) one->begin();
        loop_.restart();
        loop_.run();
        if (unanswered_ != 0) throw std::runtime_error("a raw relay lost its connection");
    }

  private:
    using clock = std::chrono::steady_clock;

    struct link {
        link(client& of, std::uint32_t number)
            : owner{of},
              up{of.loop_},
              down{of.loop_},
              requests{up, of.with_.request_bytes},
              answers{of.with_.response_bytes} {
            greet(up, owner.paired_ ? greeting::in : greeting::duplex, number);
            if (owner.paired_) greet(down, greeting::out, number);
        }

        void greet(tcp::socket& socket, greeting::kind what, std::uint32_t number) const {
            socket.connect(loopback(owner.port_));
            socket.set_option(tcp::no_delay{true});
            const greeting hello{.what = what, .pair = number};
            asio::write(socket, asio::buffer(&hello, sizeof hello));
        }

        void begin() {
            for (std::size_t count = 0; count < owner.with_.outstanding; ++count) issue();
            requests.flush();
            if (!asked.empty()) read();
        }

        void issue() {
            if (owner.unsent_ == 0) return;
            --owner.unsent_;
            asked.push_back({++last, clock::now()});
            requests.queue(last);
        }

        void read() {
            tcp::socket& from = owner.paired_ ? down : up;
            from.async_read_some(asio::buffer(space), [this](std::error_code error, std::size_t n) {
                if (error) return owner.loop_.stop();
                const auto now = clock::now();
                answers.feed(space.data(), n, [&](sequence number) { answered(number, now); });
                requests.flush();
                if (!asked.empty()) read(); // else the loop runs dry and the window ends
            });
        }

        void answered(sequence number, clock::time_point now) {
            if (asked.empty() || asked.front().number != number)
                throw std::logic_error("a raw relay answered another call");
            const auto took = std::chrono::nanoseconds{now - asked.front().at}.count();
            owner.out_->push_back(static_cast<std::uint32_t>(took));
            asked.pop_front();
            --owner.unanswered_;
            issue();
        }

        struct call {
            sequence number;
            clock::time_point at;
        };
        client& owner;
        tcp::socket up, down; // `down` is used by pairs alone
        message_writer requests;
        message_reader answers;
        std::deque<call> asked;
        sequence last = 0;
        std::array<std::byte, 65536> space{};
    };

    settings with_;
    std::uint16_t port_;
    bool paired_;
    asio::io_context loop_{1};
    std::vector<std::unique_ptr<link>> links_;
    latencies* out_ = nullptr;
    std::size_t unsent_ = 0, unanswered_ = 0;
};

/// What both shapes share: server, relays, client.
class baseline {
  public:
    void run(std::size_t calls, latencies& out) { client_.run(calls, out); }

    /// This baseline as a row of the harness; the baseline outlives the row.
    [[nodiscard]] row as_row(std::string name) {
        return {.name = std::move(name),
                .run = [this](std::size_t calls, latencies& out) { run(calls, out); },
                .processes = {server_.process(), relays_.process()},
                .bytes_per_call = with_.request_bytes + with_.response_bytes};
    }

  protected:
    baseline(const settings& with, std::size_t relays, bool paired)
        : with_{with},
          server_{with.where,
                  [with](asio::io_context& loop) {
                      return start_server(loop, with.request_bytes, with.response_bytes);
                  }},
          relays_{
              with.where,
              [with, relays, last = server_.port()](asio::io_context& loop) {
                  started chain{.ports = {last}, .keep = {}};
                  for (std::size_t hop = 0; hop < relays; ++hop) {
                      started next = start_relay(loop, chain.ports[0], with.chunk_bytes);
                      auto both =
                          std::make_shared<std::pair<std::shared_ptr<void>, std::shared_ptr<void>>>(
                              chain.keep, next.keep);
                      chain = {next.ports, both};
                  }
                  return chain;
              }},
          client_{with, relays_.port(), paired} {}

  private:
    settings with_;
    placed server_;
    placed relays_;
    client client_;
};

/// client -> relay -> server, one TCP connection.
struct one_hop : baseline {
    explicit one_hop(const settings& with) : baseline{with, 1, false} {}
};

/// client -> relay -> relay -> server, one TCP connection; both relays in one process, as the two
/// proxy roles are.
struct two_hops : baseline {
    explicit two_hops(const settings& with) : baseline{with, 2, false} {}
};

/// Requests on one connection, answers on another, each through the relay: the shape of a virtual
/// connection without its protocol.
struct in_out_pair : baseline {
    explicit in_out_pair(const settings& with) : baseline{with, 1, true} {}
};

} // namespace bench::relay

#endif
