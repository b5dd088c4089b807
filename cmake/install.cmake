# Install rules: the headers, the compiled library if it was built, the program if it was built, and a
# package for find_package(rpch). Our find modules go beside it, as Debian's Asio and mbedTLS bring none.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/rpch")
set(_targets rpch)
if(TARGET rpch_compiled)
  list(APPEND _targets rpch_compiled)
endif()
install(TARGETS ${_targets} EXPORT rpch-targets FILE_SET HEADERS FILE_SET internals)
install(EXPORT rpch-targets NAMESPACE rpch:: DESTINATION "${_package_dir}")
if(TARGET rpch_tool)
  install(TARGETS rpch_tool)
endif()

configure_package_config_file(
  "${CMAKE_CURRENT_LIST_DIR}/rpch-config.cmake.in" "${PROJECT_BINARY_DIR}/rpch-config.cmake"
  INSTALL_DESTINATION "${_package_dir}" NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor version may change the API, so only the same minor version fits.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/rpch-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/rpch-config.cmake" "${PROJECT_BINARY_DIR}/rpch-config-version.cmake"
  DESTINATION "${_package_dir}")
install(FILES "${CMAKE_CURRENT_LIST_DIR}/FindAsio.cmake" "${CMAKE_CURRENT_LIST_DIR}/FindMbedTLS.cmake"
  DESTINATION "${_package_dir}/modules")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
