# Standalone Asio: header-only, ships neither a CMake package nor a .pc file. Defines asio::asio (the name that
# Conan and vcpkg give it).
find_path(Asio_INCLUDE_DIR asio.hpp)
if(Asio_INCLUDE_DIR)
  file(STRINGS "${Asio_INCLUDE_DIR}/asio/version.hpp" _line REGEX "^#define ASIO_VERSION [0-9]+")
  string(REGEX MATCH "[0-9]+" _n "${_line}")
  math(EXPR _major "${_n} / 100000")
  math(EXPR _minor "${_n} / 100 % 1000")
  math(EXPR _patch "${_n} % 100")
  set(Asio_VERSION "${_major}.${_minor}.${_patch}")
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Asio REQUIRED_VARS Asio_INCLUDE_DIR VERSION_VAR Asio_VERSION)
if(Asio_FOUND AND NOT TARGET asio::asio)
  find_package(Threads REQUIRED)
  add_library(asio::asio INTERFACE IMPORTED)
  set_target_properties(asio::asio PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${Asio_INCLUDE_DIR}"
    INTERFACE_COMPILE_DEFINITIONS "ASIO_STANDALONE;ASIO_NO_DEPRECATED"
    INTERFACE_LINK_LIBRARIES Threads::Threads)
  # Asio 1.22 switches coroutines on for clang only with the long gone <experimental/coroutine>.
  if(Asio_VERSION VERSION_LESS 1.24)
    set_property(TARGET asio::asio APPEND PROPERTY INTERFACE_COMPILE_DEFINITIONS
      $<$<CXX_COMPILER_ID:Clang,AppleClang>:ASIO_HAS_CO_AWAIT=1>
      $<$<CXX_COMPILER_ID:Clang,AppleClang>:ASIO_HAS_STD_COROUTINE=1>)
    # It asks for aligned_alloc by a macro of libstdc++ that is not there yet in a file that includes Asio first: two
    # files of one program would disagree on how memory is given back.
    if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
      set_property(TARGET asio::asio APPEND PROPERTY INTERFACE_COMPILE_DEFINITIONS ASIO_HAS_STD_ALIGNED_ALLOC=1)
    endif()
  endif()
endif()
mark_as_advanced(Asio_INCLUDE_DIR)
