// The version, written once: CMake reads these three lines.
#ifndef RPCH_VERSION_HPP
#define RPCH_VERSION_HPP

#define RPCH_VERSION_MAJOR 0
#define RPCH_VERSION_MINOR 1
#define RPCH_VERSION_PATCH 0

#define RPCH_VERSION_STRING "0.1.0"

#endif
