// Stands in for libFuzzer where only g++ is there: runs the target on every corpus file and on deterministic mutations
// of it. Usage: <target> [--mutations=N] FOLDER
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

void RunOn(const std::string& bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
}

std::string Mutate(std::string bytes, std::mt19937_64* random) {
  for (uint64_t n = 1 + (*random)() % 6; n > 0; --n) {
    const size_t at = bytes.empty() ? 0 : (*random)() % bytes.size();
    switch ((*random)() % 4) {
      case 0:
        if (!bytes.empty()) bytes[at] = static_cast<char>((*random)());
        break;
      case 1:
        bytes.insert(at, 1, static_cast<char>((*random)()));
        break;
      case 2:
        if (!bytes.empty()) bytes.erase(at, 1 + (*random)() % 8);
        break;
      default:
        bytes.resize((*random)() % (bytes.size() + 1));
    }
  }
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  int mutations = 20'000;
  std::string folder;
  for (int i = 1; i < argc; ++i) {
    if (std::strncmp(argv[i], "--mutations=", 12) == 0) {
      mutations = std::atoi(argv[i] + 12);
    } else {
      folder = argv[i];
    }
  }
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    std::mt19937_64 random(1);
    RunOn(bytes);
    for (int i = 0; i < mutations; ++i) RunOn(Mutate(bytes, &random));
    ++files;
  }
  std::printf("%d files, %d mutations each\n", files, mutations);
  return files > 0 ? 0 : 1;
}
