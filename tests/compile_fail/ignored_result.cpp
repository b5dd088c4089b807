// expect: nodiscard
#include <rpch/dcerpc/common_header.hpp>

int main() {
#ifdef RPCH_CONTROL
    return rpch::dcerpc::peek_frag_length({}) ? 0 : 1;
#else
    rpch::dcerpc::peek_frag_length({});
#endif
}
