// expect: error
#ifdef RPCH_CONTROL
int control = "the control is broken";
#else
int value = "not a number";
#endif
int main() {}
