// The bodies of transport and the facades: the rooms that know Asio and mbedTLS. One .ipp a line, sorted.
#ifndef RPCH_IMPL_SRC_TRANSPORT_HPP
#define RPCH_IMPL_SRC_TRANSPORT_HPP

#include <rpch/config.hpp>

#if defined(RPCH_HEADER_ONLY)
    #error "define RPCH_SEPARATE_COMPILATION for the whole program before compiling the bodies apart"
#endif

#endif
