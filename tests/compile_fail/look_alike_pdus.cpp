// expect: duplicate case value
// OUT_R1/A1 and OUT_R1/A2 have one shape on the wire: a switch cannot tell them apart.
#include <rpch/rts/shape.hpp>

int main() {
    switch (rpch::rts::shape::out_r1_a2) {
    case rpch::rts::shape::out_r1_a1: return 1;
#ifndef RPCH_CONTROL
    case rpch::rts::shape::out_r1_a2: return 2;
#endif
    default: return 0;
    }
}
