# Debian 12 packages only; ./dev installs them.
find_package(Threads REQUIRED)    # gRPC's targets name Threads::Threads, its config does not find it
find_package(Protobuf REQUIRED)   # module mode: Debian ships no protobuf config package
find_package(gRPC CONFIG REQUIRED)
find_package(absl CONFIG REQUIRED)
find_package(RocksDB CONFIG REQUIRED)
find_package(roaring CONFIG REQUIRED)  # CRoaring
find_package(OpenSSL REQUIRED)
find_package(spdlog CONFIG REQUIRED)
find_package(CLI11 CONFIG REQUIRED)
find_package(nlohmann_json CONFIG REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(libre2 REQUIRED IMPORTED_TARGET re2)  # prefixes must not clash with gRPC's find modules
pkg_check_modules(libdeflate REQUIRED IMPORTED_TARGET libdeflate)
pkg_check_modules(libzstd REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(xlsxwriter REQUIRED IMPORTED_TARGET xlsxwriter)
pkg_check_modules(systemd REQUIRED IMPORTED_TARGET libsystemd)
pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus)
find_program(PROTOC protoc REQUIRED)
find_program(GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)  # Debian's gRPC exports no target for it
if(PULSEBOARD_DESKTOP)
  find_package(Qt6 REQUIRED COMPONENTS Core DBus Gui Widgets Charts Test)
  set(CMAKE_AUTOMOC OFF)  # switched on per target in client-qt
endif()
if(PULSEBOARD_TESTS)
  find_package(GTest REQUIRED)
endif()
if(PULSEBOARD_BENCH)
  find_package(benchmark REQUIRED)
endif()
