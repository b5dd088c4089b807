// Executors, strands and what differs between versions of Asio.
#ifndef RPCH_TRANSPORT_EXECUTOR_HPP
#define RPCH_TRANSPORT_EXECUTOR_HPP

#include <chrono>

#include <rpch/config.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/strand.hpp>

namespace rpch::inline RPCH_ABI::transport {

using executor = asio::any_io_executor;
/// Everything of one facade object (one client, one proxy, one server) runs on one strand: no lock
/// on the data path, however many threads run the io_context.
using strand = asio::strand<asio::any_io_executor>;
using tcp = asio::ip::tcp;
using clock = std::chrono::steady_clock;
using time_point = clock::time_point;

} // namespace rpch::inline RPCH_ABI::transport

#endif
