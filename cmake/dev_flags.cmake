# Warnings and sanitizers of our own targets: never exported, switched on by presets.
add_library(rpch_dev_flags INTERFACE)
if(RPCH_DEV_WARNINGS)
  target_compile_options(rpch_dev_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wold-style-cast
    -Wnon-virtual-dtor -Wswitch-enum -Wundef -Werror)
  # g++ 12 at -O2 and above finds overlapping copies in `"text" + std::string` that are not there (GCC bug 105651).
  target_compile_options(rpch_dev_flags INTERFACE
    $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>)
endif()
if(RPCH_SANITIZE)
  # Before vptr reads an object it asks the system, through a pipe, whether the memory is there: in a process without a
  # free descriptor, which some tests are about, it calls every object a wrong one.
  target_compile_options(rpch_dev_flags INTERFACE
    -fsanitize=${RPCH_SANITIZE} -fno-sanitize=vptr -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(rpch_dev_flags INTERFACE -fsanitize=${RPCH_SANITIZE})
endif()
