// Executors, strands, sockets and timers of the library.
#ifndef RPCH_TRANSPORT_EXECUTOR_HPP
#define RPCH_TRANSPORT_EXECUTOR_HPP

#include <algorithm>
#include <chrono>
#include <memory>
#include <typeinfo>
#include <utility>

#include <rpch/config.hpp>
#include <rpch/limits.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/basic_socket_acceptor.hpp>
#include <asio/basic_stream_socket.hpp>
#include <asio/basic_waitable_timer.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/basic_resolver.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/strand.hpp>

namespace rpch::inline RPCH_ABI::transport {

/// What a user hands over: any executor of an asio::io_context.
using executor = asio::any_io_executor;
/// Everything of one facade object (one client, one proxy, one server) runs on one strand: no lock
/// on the data path, however many threads run the io_context. It is a type of its own, not an
/// any_io_executor, because that one allocates memory for each operation of a strand.
using strand = asio::strand<asio::io_context::executor_type>;

/// TCP on strands.
struct tcp {
    using endpoint = asio::ip::tcp::endpoint;
    using socket = asio::basic_stream_socket<asio::ip::tcp, strand>;
    using acceptor = asio::basic_socket_acceptor<asio::ip::tcp, strand>;
    using resolver = asio::ip::basic_resolver<asio::ip::tcp, strand>;
    using no_delay = asio::ip::tcp::no_delay;
};

using clock = std::chrono::steady_clock;
using time_point = clock::time_point;
using timer = asio::basic_waitable_timer<clock, asio::wait_traits<clock>, strand>;

/// @return a wait that somebody has set, as far as it can be added to what the clock says.
[[nodiscard]] constexpr std::chrono::milliseconds bounded(std::chrono::milliseconds wait) noexcept {
    return std::clamp<std::chrono::milliseconds>(wait, -limits::wait_max, limits::wait_max);
}
/// Bounds each of several waits where it stands.
template <class... Waits>
constexpr void bound(Waits&... waits) noexcept {
    ((waits = bounded(waits)), ...);
}

namespace detail {
/// @return the io_context behind an executor, whatever properties it was given; null for others.
template <unsigned... Bits>
asio::io_context* context_of(const executor& ex,
                             std::integer_sequence<unsigned, Bits...>) noexcept {
    asio::io_context* found = nullptr;
    const auto look = [&](const auto* plain) {
        if (plain != nullptr) found = &plain->context();
    };
    (look(ex.target<asio::io_context::basic_executor_type<std::allocator<void>, Bits>>()), ...);
    return found;
}
} // namespace detail

/// @return a new strand of the io_context behind `ex`, which may itself be a strand.
/// @throws std::bad_cast if `ex` belongs to another kind of execution context.
[[nodiscard]] inline strand make_strand(const executor& ex) {
    if (auto* found = detail::context_of(ex, std::make_integer_sequence<unsigned, 8>{}))
        return strand(found->get_executor());
    if (const auto* ours = ex.target<strand>()) return strand(ours->get_inner_executor());
    if (const auto* other = ex.target<asio::strand<executor>>())
        return make_strand(other->get_inner_executor());
    throw std::bad_cast();
}

} // namespace rpch::inline RPCH_ABI::transport

#endif
