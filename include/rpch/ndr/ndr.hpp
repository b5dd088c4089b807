// Everything of the room: NDR 2.0 marshalling of C++ types, [C706] 14.
#ifndef RPCH_NDR_NDR_HPP
#define RPCH_NDR_NDR_HPP

#include <rpch/ndr/array.hpp>
#include <rpch/ndr/codec.hpp>
#include <rpch/ndr/decoder.hpp>
#include <rpch/ndr/encoder.hpp>
#include <rpch/ndr/operation.hpp>
#include <rpch/ndr/pointer.hpp>
#include <rpch/ndr/string.hpp>
#include <rpch/ndr/structure.hpp>
#include <rpch/ndr/transfer_syntax.hpp>
#include <rpch/ndr/types.hpp>
#include <rpch/ndr/union.hpp>

#endif
