# One step of tests/install. STEP=install: installs the library, BUILT (this build, static) or built here
# (shared); STEP=consume: configures, builds and runs consumer/. KIND is static or shared, HOW and TARGET
# are consumer/CMakeLists.txt's, OPTIONS are further ones of CMake.
function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT RESULT_VARIABLE _result)
  if(NOT _result EQUAL 0)
    message(FATAL_ERROR "exit status ${_result}: ${ARGN}")
  endif()
endfunction()

set(_tree "${WORK}/${KIND}")
set(_build "${WORK}/build-${NAME}")
set(_configure ${CMAKE_COMMAND} -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_COMPILER=${COMPILER}
  -DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER})

if(STEP STREQUAL "install")
  if(KIND STREQUAL "shared")
    run(${_configure} -S "${SOURCE}" -B "${_build}" -DBUILD_SHARED_LIBS=ON -DRPCH_TESTS=OFF -DRPCH_TOOLS=OFF
      -DRPCH_EXAMPLES=OFF)
    run(${CMAKE_COMMAND} --build "${_build}")
    set(BUILT "${_build}")
  endif()
  file(REMOVE_RECURSE "${_tree}")
  run(${CMAKE_COMMAND} --install "${BUILT}" --prefix "${_tree}")
else()
  if(NOT VERSION)
    set(VERSION 0.1)
  endif()
  file(REMOVE_RECURSE "${_build}") # what an earlier run found must not help this one
  run(${_configure} -S "${CMAKE_CURRENT_LIST_DIR}/consumer" -B "${_build}" -DCONSUMER_HOW=${HOW}
    -DCONSUMER_TARGET=${TARGET} -DCONSUMER_VERSION=${VERSION} -DCONSUMER_SOURCE=${SOURCE}
    -DCMAKE_PREFIX_PATH=${_tree} ${OPTIONS})
  run(${CMAKE_COMMAND} --build "${_build}")
  run("${_build}/consumer")
endif()
