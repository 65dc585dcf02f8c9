# pulseboard_library(NAME SOURCES... DEPS... [PCH std|grpc]): a static library of one room of the house.
# pulseboard_executable, pulseboard_test: the same for programs and GoogleTest binaries.
# Includes are relative to the repository root. PCH shares one precompiled header per flavour between all targets.
add_compile_definitions(SPDLOG_COMPILED_LIB SPDLOG_SHARED_LIB SPDLOG_FMT_EXTERNAL FMT_SHARED)
# One set of flags everywhere, or the shared precompiled headers would not fit: Qt wants -fPIC, threads want -pthread.
add_compile_options(-pthread)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

set(PULSEBOARD_PCH_STD <algorithm> <atomic> <array> <chrono> <cmath> <cstdint> <cstring> <functional> <limits> <map>
  <memory> <optional> <span> <string> <string_view> <thread> <unordered_map> <utility> <variant> <vector>
  <absl/status/status.h> <absl/status/statusor.h>)
set(PULSEBOARD_PCH_GRPC ${PULSEBOARD_PCH_STD} <grpcpp/grpcpp.h> <google/protobuf/message.h>)

function(pulseboard_pch_flavour flavour)
  if(NOT TARGET pulseboard_pch_${flavour})
    file(WRITE ${CMAKE_BINARY_DIR}/pch_${flavour}.cc "// carries the shared precompiled header\n")
    add_library(pulseboard_pch_${flavour} OBJECT ${CMAKE_BINARY_DIR}/pch_${flavour}.cc)
    target_link_libraries(pulseboard_pch_${flavour} PRIVATE pulseboard_warnings absl::statusor)
    if(flavour STREQUAL "grpc")
      target_link_libraries(pulseboard_pch_${flavour} PRIVATE gRPC::grpc++ protobuf::libprotobuf)
      target_precompile_headers(pulseboard_pch_${flavour} PRIVATE ${PULSEBOARD_PCH_GRPC})
    else()
      target_precompile_headers(pulseboard_pch_${flavour} PRIVATE ${PULSEBOARD_PCH_STD})
    endif()
  endif()
endfunction()
pulseboard_pch_flavour(std)
pulseboard_pch_flavour(grpc)

# Executables would get -fPIE, which does not fit the precompiled headers.
function(pulseboard_program_flags target)
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${target} PRIVATE -fPIC)
endfunction()

function(pulseboard_configure target)
  cmake_parse_arguments(ARG "" "PCH" "SOURCES;DEPS" ${ARGN})
  target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(${target} PUBLIC ${ARG_DEPS} PRIVATE pulseboard_warnings)
  if(ARG_PCH)
    target_precompile_headers(${target} REUSE_FROM pulseboard_pch_${ARG_PCH})
  endif()
endfunction()

function(pulseboard_library target)
  cmake_parse_arguments(ARG "" "PCH" "SOURCES;DEPS" ${ARGN})
  add_library(${target} STATIC ${ARG_SOURCES})
  pulseboard_configure(${target} ${ARGN})
endfunction()

function(pulseboard_executable target)
  cmake_parse_arguments(ARG "" "PCH" "SOURCES;DEPS" ${ARGN})
  add_executable(${target} ${ARG_SOURCES})
  pulseboard_program_flags(${target})
  pulseboard_configure(${target} ${ARGN})
endfunction()

# One binary per room; every TEST becomes its own ctest entry unless WHOLE is given.
function(pulseboard_test target)
  cmake_parse_arguments(ARG "WHOLE" "PCH;TIMEOUT" "SOURCES;DEPS" ${ARGN})
  add_executable(${target} ${ARG_SOURCES})
  pulseboard_program_flags(${target})
  pulseboard_configure(${target} SOURCES ${ARG_SOURCES} DEPS ${ARG_DEPS} GTest::gtest GTest::gmock GTest::gtest_main
                       PCH ${ARG_PCH})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  # tests/unit/storage -> label unit-storage; ./dev test picks rooms by it.
  file(RELATIVE_PATH label ${CMAKE_SOURCE_DIR}/tests ${CMAKE_CURRENT_SOURCE_DIR})
  string(REPLACE "/" "-" label "${label}")
  if(ARG_WHOLE)
    add_test(NAME ${target} COMMAND ${target})
    set_tests_properties(${target} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS ${label})
  else()
    gtest_discover_tests(${target} DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS ${label})
  endif()
endfunction()
