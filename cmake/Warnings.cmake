# Warnings are errors in our own code; generated code is compiled with -w (see Protos.cmake).
add_library(pulseboard_warnings INTERFACE)
target_compile_options(pulseboard_warnings INTERFACE
  -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wimplicit-fallthrough -Werror -Werror=unused-result)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports these for correct std::string and std::vector code at -O2 (GCC bugs 105329, 105651).
  target_compile_options(pulseboard_warnings INTERFACE -Wno-restrict -Wno-stringop-overflow -Wno-array-bounds
    -Wno-maybe-uninitialized)
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_compile_options(pulseboard_warnings INTERFACE -Wthread-safety)
endif()
