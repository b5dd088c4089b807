// Two sockets, and what comes from one goes to the other.
#ifndef RPCH_TESTS_SUPPORT_SPLICE_HPP
#define RPCH_TESTS_SUPPORT_SPLICE_HPP

#include <array>
#include <cstddef>
#include <memory>
#include <system_error>
#include <utility>

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
    /// Looks at bytes that came, before they go on.
    virtual void on_bytes(bool /*from_near*/, char* /*bytes*/, std::size_t /*count*/) {}
    /// Reads again from who connected.
    void go_on() { carry(near_, far_, inward_); }

    socket near_;
    socket far_;

  private:
    void carry(socket& from, socket& to, std::array<char, 4096>& buffer) {
        const bool from_near = &from == &near_;
        if (!may_read(from_near)) return;
        from.async_read_some(asio::buffer(buffer), [this, &from, &to, &buffer, from_near,
                                                    self = shared_from_this()](std::error_code ec,
                                                                               std::size_t n) {
            if (ec) return close();
            on_bytes(from_near, buffer.data(), n);
            asio::async_write(to, asio::buffer(buffer.data(), n),
                              [this, &from, &to, &buffer, self](std::error_code lost, std::size_t) {
                                  if (lost) return close();
                                  carry(from, to, buffer);
                              });
        });
    }

    std::array<char, 4096> inward_{};
    std::array<char, 4096> outward_{};
};

} // namespace test

#endif
