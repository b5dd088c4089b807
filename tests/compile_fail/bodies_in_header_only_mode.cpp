// expect: define RPCH_SEPARATE_COMPILATION for the whole program
#undef RPCH_SEPARATE_COMPILATION
#ifdef RPCH_CONTROL
    #define RPCH_SEPARATE_COMPILATION
#endif
#include <rpch/impl/src_protocol.hpp>

int main() {}
