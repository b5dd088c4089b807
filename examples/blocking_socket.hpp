// Just enough of blocking sockets for own_loop.cpp. Whatever goes wrong ends the program.
#ifndef RPCH_EXAMPLES_BLOCKING_SOCKET_HPP
#define RPCH_EXAMPLES_BLOCKING_SOCKET_HPP

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <rpch/core/bytes.hpp>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

[[noreturn]] inline void give_up(const std::string& why) {
    std::fprintf(stderr, "%s\n", why.c_str());
    std::exit(1);
}

/// @return a socket connected to 127.0.0.1.
inline int dial(std::uint16_t port) {
    const int made = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(made, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0)
        give_up("cannot connect");
    return made;
}

inline void write_all(int to, rpch::byte_view data) {
    if (::send(to, data.data(), data.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(data.size()))
        give_up("cannot write");
}

inline std::string read_exactly(int from, std::size_t n) {
    std::string out(n, '\0');
    pollfd ready{from, POLLIN, 0};
    if (::poll(&ready, 1, 10'000) != 1) give_up("nothing comes");
    if (::recv(from, out.data(), n, MSG_WAITALL) != static_cast<ssize_t>(n)) give_up("closed");
    return out;
}

#endif
