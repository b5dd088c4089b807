#include <rpch/impl/src_transport.hpp>
