// Every body of a non-template, for programs that compile the library themselves. src/*.cpp include
// the parts of this list; tests/tidy.py fails on an .ipp that is missing here.
#ifndef RPCH_IMPL_SRC_HPP
#define RPCH_IMPL_SRC_HPP

#include <rpch/impl/src_protocol.hpp>
#include <rpch/impl/src_transport.hpp>

#endif
