# pulseboard_protos(TARGET PROTO...): C++ messages and gRPC stubs of protos/*.proto as one static library.
set(PULSEBOARD_GEN_DIR ${CMAKE_BINARY_DIR}/gen)
function(pulseboard_protos target)
  set(root ${CMAKE_SOURCE_DIR}/protos)
  set(sources "")
  foreach(proto IN LISTS ARGN)
    string(REGEX REPLACE "\\.proto$" "" stem ${proto})
    set(outputs ${PULSEBOARD_GEN_DIR}/${stem}.pb.cc ${PULSEBOARD_GEN_DIR}/${stem}.pb.h)
    set(grpc_args "")
    file(STRINGS ${root}/${proto} has_service REGEX "^service ")
    if(has_service)
      list(APPEND outputs ${PULSEBOARD_GEN_DIR}/${stem}.grpc.pb.cc ${PULSEBOARD_GEN_DIR}/${stem}.grpc.pb.h)
      set(grpc_args --grpc_out=${PULSEBOARD_GEN_DIR} --plugin=protoc-gen-grpc=${GRPC_CPP_PLUGIN})
    endif()
    add_custom_command(
      OUTPUT ${outputs}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${PULSEBOARD_GEN_DIR}
      COMMAND ${PROTOC} -I ${root} --cpp_out=${PULSEBOARD_GEN_DIR} ${grpc_args} ${root}/${proto}
      DEPENDS ${root}/${proto}
      VERBATIM)
    list(APPEND sources ${outputs})
  endforeach()
  add_library(${target} STATIC ${sources})
  target_include_directories(${target} SYSTEM PUBLIC ${PULSEBOARD_GEN_DIR})
  target_link_libraries(${target} PUBLIC protobuf::libprotobuf gRPC::grpc++)
  target_compile_options(${target} PRIVATE -w)
endfunction()
