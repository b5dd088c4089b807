// Asio looks for aligned_alloc by a macro that any header of libstdc++ defines: without one in
// front this file would give back with operator delete what others took from aligned_alloc.
#include <cstddef>

#include <asio/impl/src.hpp>
