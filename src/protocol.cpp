#include <rpch/impl/src_protocol.hpp>
