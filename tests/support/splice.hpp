// Two sockets, and what comes from one goes to the other.
#ifndef RPCH_TESTS_SUPPORT_SPLICE_HPP
#define RPCH_TESTS_SUPPORT_SPLICE_HPP

#include <cstddef>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include <asio/buffer.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/write.hpp>

namespace test {

class splice : public std::enable_shared_from_this<splice> {
  public:
    using socket = asio::ip::tcp::socket;

    /// @param near  of who connected.
    /// @param far   where it leads to.
    splice(socket near, socket far) : near_(std::move(near)), far_(std::move(far)) {}
    splice(const splice&) = delete;
    splice& operator=(const splice&) = delete;
    virtual ~splice() = default;

    /// Carries until one of the sides ends; its own operations keep it.
    void start() {
        carry(near_, far_, inward_);
        carry(far_, near_, outward_);
    }
    void close() {
        std::error_code ignored;
        near_.close(ignored);
        far_.close(ignored);
    }

  protected:
    /// @return false to read nothing more from this side for now, see `go_on`.
    virtual bool may_read(bool /*from_near*/) { return true; }
    /// Looks at bytes that came, before what it leaves of them goes on.
    virtual void on_bytes(bool /*from_near*/, std::vector<char>& /*bytes*/) {}
    /// A side has ended, or lost its connection.
    virtual void on_end(bool /*near*/) { close(); }
    /// Reads again from who connected.
    void go_on() { carry(near_, far_, inward_); }

    socket near_;
    socket far_;

  private:
    void carry(socket& from, socket& to, std::vector<char>& buffer) {
        const bool from_near = &from == &near_;
        if (!may_read(from_near)) return;
        buffer.resize(piece);
        from.async_read_some(asio::buffer(buffer), [this, &from, &to, &buffer, from_near,
                                                    self = shared_from_this()](std::error_code ec,
                                                                               std::size_t n) {
            if (ec) return on_end(from_near);
            buffer.resize(n);
            on_bytes(from_near, buffer);
            if (buffer.empty()) return carry(from, to, buffer);
            asio::async_write(to, asio::buffer(buffer),
                              [this, &from, &to, &buffer, self](std::error_code lost, std::size_t) {
                                  if (lost) return close();
                                  carry(from, to, buffer);
                              });
        });
    }

    static constexpr std::size_t piece = 4096;
    std::vector<char> inward_;
    std::vector<char> outward_;
};

} // namespace test

#endif
