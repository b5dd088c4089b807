// The bodies of the rooms below transport: no socket, clock, thread or Asio. One .ipp a line, sorted.
#ifndef RPCH_IMPL_SRC_PROTOCOL_HPP
#define RPCH_IMPL_SRC_PROTOCOL_HPP

#include <rpch/config.hpp>

#if defined(RPCH_HEADER_ONLY)
    #error "define RPCH_SEPARATE_COMPILATION for the whole program before compiling the bodies apart"
#endif

#include <rpch/dcerpc/impl/common_header.ipp>
#include <rpch/impl/error.ipp>

#endif
