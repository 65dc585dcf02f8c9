// A SampleSource over series in memory, which hands out pieces of random length.
#pragma once

#include <algorithm>
#include <random>
#include <utility>
#include <vector>

#include "server/query/expression/evaluation.h"
#include "tests/unit/query/expression_reference.h"

namespace pulseboard::expression {

class MemorySource final : public SampleSource {
 public:
  explicit MemorySource(const std::vector<StoredSeries>& series) : series_(series) {}

  size_t Register(const Selector& selector, const Windows& windows) override {
    selections_.emplace_back(selector, windows.Readable());
    return selections_.size() - 1;
  }
  absl::StatusOr<std::vector<std::shared_ptr<const SeriesInfo>>> Series(size_t selection) override {
    std::vector<std::shared_ptr<const SeriesInfo>> out;
    for (const StoredSeries& s : series_) {
      if (selections_[selection].first.Matches(s.info->key)) out.push_back(s.info);
    }
    return out;
  }
  absl::Status Read(size_t selection, const SeriesInfo& series, WindowInput* input) override {
    const TimeRange range = selections_[selection].second;
    const auto& all = std::find_if(series_.begin(), series_.end(), [&series](const StoredSeries& s) {
                        return s.info->id == series.id;
                      })->samples;
    SampleColumns piece;
    for (size_t i = 0; i < all.size(); ++i) {
      if (!range.Contains(all.times[i])) continue;
      piece.push_back(all.times[i], all.values[i]);
      ++read;
      if (random_() % 7 != 0) continue;
      if (absl::Status status = input->AddSamples(piece); !status.ok()) return status;
      piece.clear();
    }
    return input->AddSamples(piece);
  }
  absl::Status CheckAlive() override {
    ++checks;
    return alive;
  }
  absl::Status Hold(size_t values) override {
    held += values;
    return absl::OkStatus();
  }

  absl::Status alive;
  size_t checks = 0;
  size_t held = 0;
  size_t read = 0;

 private:
  const std::vector<StoredSeries>& series_;
  std::vector<std::pair<Selector, TimeRange>> selections_;
  std::mt19937 random_{1};
};

}  // namespace pulseboard::expression
