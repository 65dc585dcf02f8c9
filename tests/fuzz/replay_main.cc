// Stands in for libFuzzer where only g++ is there: runs the target on every corpus file and on deterministic mutations
// of it. Usage: <target> [--mutations=N] FOLDER. An input that ends the process is printed in hex; to run it again, put
// it into a folder of its own and say --mutations=0.
#include <csignal>
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

const std::string* running = nullptr;

void PrintRunning(int signal) {
  std::fprintf(stderr, "input:");
  for (const char c : *running) std::fprintf(stderr, " %02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
  std::fprintf(stderr, "\n");
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void RunOn(const std::string& bytes) {
  running = &bytes;
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
  std::signal(SIGABRT, PrintRunning);
  std::signal(SIGSEGV, PrintRunning);
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
