// Asks one server the questions of question.h in its language, over one connection, one at a time.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/bench/peers/peer.h"
#include "tests/bench/queries/question.h"

namespace pulseboard::bench {

// What the answer says, to compare servers with each other.
struct AnswerSum {
  int64_t values = 0;
  double sum = 0;
};

// Not thread-safe.
class Asker {
 public:
  virtual ~Asker() = default;
  // Makes the request; not measured.
  virtual absl::Status Prepare(const Question& question) = 0;
  // From the first byte sent to the last byte received. Answers of HTTP are not parsed, those of gRPC are.
  virtual absl::Status Ask() = 0;
  // Of the last Ask.
  virtual absl::StatusOr<AnswerSum> Sum() const = 0;
  virtual int64_t answer_bytes() const = 0;
};

std::unique_ptr<Asker> MakeVictoriaAsker(int port);
std::unique_ptr<Asker> MakePrometheusAsker(int port);
std::unique_ptr<Asker> MakeInfluxAsker(int port);
// The login must outlive it.
std::unique_ptr<Asker> MakePulseboardAsker(const testing::Login& login);

}  // namespace pulseboard::bench
