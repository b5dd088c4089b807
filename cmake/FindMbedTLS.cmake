# mbedTLS 2.28 as Debian ships it has neither a CMake package nor a .pc file; 3.x and 4.x install MbedTLSConfig.cmake,
# which is taken first. Defines MbedTLS::mbedtls, MbedTLS::mbedx509 and MbedTLS::mbedcrypto, as that package does.
include(FindPackageHandleStandardArgs)
find_package(MbedTLS CONFIG QUIET)
if(MbedTLS_FOUND)
  find_package_handle_standard_args(MbedTLS CONFIG_MODE)
  return()
endif()
find_path(MbedTLS_INCLUDE_DIR mbedtls/ssl.h)
foreach(_l tls x509 crypto)
  find_library(MbedTLS_${_l}_LIBRARY mbed${_l})
  mark_as_advanced(MbedTLS_${_l}_LIBRARY)
endforeach()
if(MbedTLS_INCLUDE_DIR)
  foreach(_h build_info.h version.h) # 3.x, 2.x
    if(EXISTS "${MbedTLS_INCLUDE_DIR}/mbedtls/${_h}")
      file(STRINGS "${MbedTLS_INCLUDE_DIR}/mbedtls/${_h}" _line REGEX "define MBEDTLS_VERSION_STRING ")
      if(_line MATCHES "\"([0-9.]+)\"")
        set(MbedTLS_VERSION ${CMAKE_MATCH_1})
        break()
      endif()
    endif()
  endforeach()
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(MbedTLS
  REQUIRED_VARS MbedTLS_tls_LIBRARY MbedTLS_x509_LIBRARY MbedTLS_crypto_LIBRARY MbedTLS_INCLUDE_DIR
  VERSION_VAR MbedTLS_VERSION)
if(MbedTLS_FOUND AND NOT TARGET MbedTLS::mbedtls)
  set(_needs_crypto "")
  set(_needs_x509 MbedTLS::mbedcrypto)
  set(_needs_tls MbedTLS::mbedx509)
  foreach(_l crypto x509 tls)
    add_library(MbedTLS::mbed${_l} UNKNOWN IMPORTED)
    set_target_properties(MbedTLS::mbed${_l} PROPERTIES
      IMPORTED_LOCATION "${MbedTLS_${_l}_LIBRARY}"
      INTERFACE_INCLUDE_DIRECTORIES "${MbedTLS_INCLUDE_DIR}"
      INTERFACE_LINK_LIBRARIES "${_needs_${_l}}")
  endforeach()
endif()
mark_as_advanced(MbedTLS_INCLUDE_DIR)
