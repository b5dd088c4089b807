// Everything. `./dev format` writes the list; include single headers where compile time matters.
#ifndef RPCH_RPCH_HPP
#define RPCH_RPCH_HPP

#include <rpch/config.hpp>
#include <rpch/core/bytes.hpp>
#include <rpch/core/reader.hpp>
#include <rpch/core/split_view.hpp>
#include <rpch/core/uuid.hpp>
#include <rpch/core/writer.hpp>
#include <rpch/dcerpc/common_header.hpp>
#include <rpch/error.hpp>
#include <rpch/limits.hpp>
#include <rpch/result.hpp>
#include <rpch/version.hpp>

#endif
