// RecordingConsumer: what a viewer saw, in the order it came.
#pragma once

#include <map>
#include <string>
#include <variant>
#include <vector>

#include "common/base/mutex.h"
#include "common/client/subscriber.h"

namespace pulseboard::testing {

// Thread-safe. Samples of one series are expected to come in ascending time: it counts those that do not (a double, or
// a series told twice).
class RecordingConsumer final : public client::SubscriptionConsumer {
 public:
  client::Flow OnEvent(client::SubscriberEvent event) override {
    MutexLock lock(&mu_);
    if (const auto* reset = std::get_if<client::ResetEvent>(&event)) {
      ++resets_;
      last_reset_ = reset->cause;
      series_.clear();
    } else if (const auto* definitions = std::get_if<client::DefinitionsEvent>(&event)) {
      for (const auto& definition : definitions->definitions) {
        names_[definition.series.id] = definition.series.key.Format();
      }
    } else if (const auto* backfill = std::get_if<client::BackfillEvent>(&event)) {
      Note(backfill->series);
    } else if (const auto* samples = std::get_if<client::SamplesEvent>(&event)) {
      Note(samples->series);
      times_.push_back(samples->times);
    } else if (const auto* gap = std::get_if<client::GapEvent>(&event)) {
      dropped_ += gap->dropped_samples;
    } else if (std::holds_alternative<client::BackfillDoneEvent>(event)) {
      live_ = true;
    } else if (const auto* state = std::get_if<client::StateEvent>(&event)) {
      state_ = *state;
    }
    return client::Flow::kContinue;
  }

  std::map<std::string, SampleColumns> series() const {
    MutexLock lock(&mu_);
    std::map<std::string, SampleColumns> out;
    for (const auto& [id, columns] : series_) out[names_.at(id)] = columns;
    return out;
  }
  int64_t sample_count() const {
    MutexLock lock(&mu_);
    int64_t count = 0;
    for (const auto& [id, columns] : series_) count += static_cast<int64_t>(columns.size());
    return count;
  }
  size_t series_count() const {
    MutexLock lock(&mu_);
    return series_.size();
  }
  int64_t out_of_order() const {
    MutexLock lock(&mu_);
    return out_of_order_;
  }
  int resets() const {
    MutexLock lock(&mu_);
    return resets_;
  }
  absl::Status last_reset() const {
    MutexLock lock(&mu_);
    return last_reset_;
  }
  int64_t dropped() const {
    MutexLock lock(&mu_);
    return dropped_;
  }
  bool live() const {
    MutexLock lock(&mu_);
    return live_;
  }
  client::StateEvent state() const {
    MutexLock lock(&mu_);
    return state_;
  }
  std::vector<client::FrameTimes> times() const {
    MutexLock lock(&mu_);
    return times_;
  }

 private:
  void Note(const std::vector<client::SeriesSamples>& all) PB_REQUIRES(mu_) {
    for (const client::SeriesSamples& one : all) {
      SampleColumns& columns = series_[one.series];
      for (size_t i = 0; i < one.samples.size(); ++i) {
        if (!columns.empty() && one.samples.times[i] <= columns.times.back()) ++out_of_order_;
        columns.push_back(one.samples.times[i], one.samples.values[i]);
      }
    }
  }

  mutable Mutex mu_;
  std::map<SeriesId, std::string> names_ PB_GUARDED_BY(mu_);
  std::map<SeriesId, SampleColumns> series_ PB_GUARDED_BY(mu_);
  std::vector<client::FrameTimes> times_ PB_GUARDED_BY(mu_);
  int64_t out_of_order_ PB_GUARDED_BY(mu_) = 0;
  int resets_ PB_GUARDED_BY(mu_) = 0;
  absl::Status last_reset_ PB_GUARDED_BY(mu_);
  int64_t dropped_ PB_GUARDED_BY(mu_) = 0;
  bool live_ PB_GUARDED_BY(mu_) = false;
  client::StateEvent state_ PB_GUARDED_BY(mu_);
};

}  // namespace pulseboard::testing
