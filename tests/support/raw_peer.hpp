// A TCP connection of a test that says exactly what it is told to, and keeps what it hears.
#ifndef RPCH_TESTS_SUPPORT_RAW_PEER_HPP
#define RPCH_TESTS_SUPPORT_RAW_PEER_HPP

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <rpch/http/channel_request.hpp>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>

#include "tests/support/bytes.hpp"

namespace test {

class raw_peer {
  public:
    /// Connects to a port of 127.0.0.1 and begins to read.
    raw_peer(asio::io_context& io, std::uint16_t port);
    /// Takes a connection that was accepted.
    explicit raw_peer(asio::ip::tcp::socket accepted);
    raw_peer(raw_peer&&) noexcept = default;
    raw_peer& operator=(raw_peer&&) = delete;
    ~raw_peer();

    /// Writes at once; what a closed connection does not take is lost.
    void send(std::string_view text);
    void send(const bytes& data);
    /// Ends the sending direction.
    void shut_send();
    /// Breaks the connection with a TCP reset.
    void reset();
    void close();

    /// @return all that was read.
    [[nodiscard]] const std::string& heard() const { return state_->heard; }
    [[nodiscard]] bool heard(std::string_view what) const {
        return state_->heard.find(what) != std::string::npos;
    }
    /// @return whether the other side has ended the connection.
    [[nodiscard]] bool ended() const { return state_->ended; }

  private:
    struct state {
        explicit state(asio::ip::tcp::socket s) : socket(std::move(s)) {}
        asio::ip::tcp::socket socket;
        std::string heard;
        std::string fresh = std::string(16384, '\0');
        bool ended = false;
    };
    static void read(const std::shared_ptr<state>& s);

    std::shared_ptr<state> state_;
};

/// @return the head of a channel request, target 127.0.0.1:`target`.
std::string channel_head(rpch::http::channel_method method, std::uint16_t target,
                         std::uint64_t content_length, std::string_view authorization = {});
inline std::string in_head(std::uint16_t target, std::uint64_t content_length = 1 << 20) {
    return channel_head(rpch::http::channel_method::in_data, target, content_length);
}
inline std::string out_head(std::uint16_t target, std::uint64_t content_length = 76) {
    return channel_head(rpch::http::channel_method::out_data, target, content_length);
}

/// One entry of a vector file of tests/vectors/rts.
struct rts_vector {
    std::string name;
    std::string kind; ///< Its second column.
    bytes data;
};
std::vector<rts_vector> rts_vectors(const std::string& file);

} // namespace test

#endif
