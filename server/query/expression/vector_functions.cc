#include "server/query/expression/vector_functions.h"

#include <re2/re2.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <set>
#include <utility>

#include "common/base/errors.h"
#include "server/query/expression/series_keys.h"

namespace pulseboard::expression {
namespace {

class MapValuesStream final : public VectorStream {
 public:
  MapValuesStream(VectorStreamPtr inner, PrepareValueMap prepare, bool drop_name)
      : inner_(std::move(inner)), prepare_(std::move(prepare)), drop_name_(drop_name) {}

  absl::StatusOr<bool> Next(EvaluatedSeries* out) override {
    if (map_ == nullptr) {
      PB_ASSIGN_OR_RETURN(map_, prepare_());
    }
    while (true) {
      PB_ASSIGN_OR_RETURN(const bool more, inner_->Next(out));
      if (!more) return false;
      bool present = false;
      for (size_t i = 0; i < out->values.size(); ++i) {
        double& value = out->values[i];
        if (IsAbsent(value)) continue;
        value = map_(value, i);
        present = present || !IsAbsent(value);
      }
      if (!present) continue;
      if (drop_name_) {
        out->key.metric.clear();
        out->ForgetSource();
      }
      return true;
    }
  }

 private:
  const VectorStreamPtr inner_;
  const PrepareValueMap prepare_;
  const bool drop_name_;
  ValueMap map_;
};

class MapLabelsStream final : public VectorStream {
 public:
  MapLabelsStream(VectorStreamPtr inner, std::function<void(SeriesKey*)> map)
      : inner_(std::move(inner)), map_(std::move(map)) {}

  absl::StatusOr<bool> Next(EvaluatedSeries* out) override {
    PB_ASSIGN_OR_RETURN(const bool more, inner_->Next(out));
    if (!more) return false;
    map_(&out->key);
    out->ForgetSource();
    return true;
  }

 private:
  const VectorStreamPtr inner_;
  const std::function<void(SeriesKey*)> map_;
};

class AbsentStream final : public VectorStream {
 public:
  AbsentStream(const EvaluationContext& context, VectorStreamPtr inner, SeriesKey key, size_t grid_size)
      : context_(context), inner_(std::move(inner)), key_(std::move(key)), size_(grid_size) {}

  absl::StatusOr<bool> Next(EvaluatedSeries* out) override {
    if (std::exchange(done_, true)) return false;
    *out = {key_, 0, {}, std::vector<double>(size_, 1.0)};
    EvaluatedSeries series;
    while (true) {
      PB_RETURN_IF_ERROR(context_.source->CheckAlive());
      PB_ASSIGN_OR_RETURN(const bool more, inner_->Next(&series));
      if (!more) break;
      for (size_t i = 0; i < size_; ++i) {
        if (!IsAbsent(series.values[i])) out->values[i] = kNoValue;
      }
    }
    return !std::all_of(out->values.begin(), out->values.end(), IsAbsent);
  }

 private:
  const EvaluationContext context_;
  const VectorStreamPtr inner_;
  const SeriesKey key_;
  const size_t size_;
  bool done_ = false;
};

class SortedStream final : public VectorStream {
 public:
  SortedStream(const EvaluationContext& context, VectorStreamPtr inner, bool descending)
      : context_(context), inner_(std::move(inner)), descending_(descending) {}

  absl::StatusOr<bool> Next(EvaluatedSeries* out) override {
    if (!std::exchange(started_, true)) {
      PB_RETURN_IF_ERROR(Sort());
    }
    if (next_ == series_.size()) return false;
    *out = std::move(series_[next_++]);
    return true;
  }

 private:
  absl::Status Sort() {
    EvaluatedSeries series;
    while (true) {
      PB_ASSIGN_OR_RETURN(const bool more, inner_->Next(&series));
      if (!more) break;
      PB_RETURN_IF_ERROR(context_.source->Hold(series.values.size()));
      series_.push_back(std::move(series));
    }
    // NaN goes last either way; equal values in the order of their labels.
    std::sort(series_.begin(), series_.end(), [this](const EvaluatedSeries& a, const EvaluatedSeries& b) {
      const double x = a.values[0];
      const double y = b.values[0];
      if (std::isnan(x) != std::isnan(y)) return std::isnan(y);
      if (!std::isnan(x) && x != y) return descending_ ? x > y : x < y;
      return a.key < b.key;
    });
    return absl::OkStatus();
  }

  const EvaluationContext context_;
  const VectorStreamPtr inner_;
  const bool descending_;
  bool started_ = false;
  std::vector<EvaluatedSeries> series_;
  size_t next_ = 0;
};

const std::string& TextArgument(const CallNode& call, size_t i) {
  return std::get<StringNode>(call.arguments[i]->what).value;
}

bool IsWordByte(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// `$1`, `${1}`, `$name`, `${name}` and `$$`, as Go's regexp.Expand has them; unknown groups are empty.
std::string Expand(std::string_view text, const re2::RE2& regex, const std::vector<re2::StringPiece>& groups) {
  std::string out;
  size_t at = 0;
  while (at < text.size()) {
    if (text[at] != '$' || at + 1 == text.size()) {
      out.push_back(text[at++]);
      continue;
    }
    ++at;
    if (text[at] == '$') {
      out.push_back(text[at++]);
      continue;
    }
    const bool braces = text[at] == '{';
    size_t end = at + (braces ? 1 : 0);
    const size_t begin = end;
    while (end < text.size() && IsWordByte(text[end])) ++end;
    if (end == begin || (braces && (end == text.size() || text[end] != '}'))) {
      out.push_back('$');  // no group after all
      continue;
    }
    const std::string name(text.substr(begin, end - begin));
    at = end + (braces ? 1 : 0);
    size_t group = groups.size();
    if (std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      group = name.size() < 4 ? static_cast<size_t>(std::stoul(name)) : groups.size();
    } else if (const auto it = regex.NamedCapturingGroups().find(name); it != regex.NamedCapturingGroups().end()) {
      group = static_cast<size_t>(it->second);
    }
    if (group < groups.size()) out.append(groups[group].data(), groups[group].size());
  }
  return out;
}

}  // namespace

VectorStreamPtr MapValues(VectorStreamPtr inner, PrepareValueMap prepare, bool drop_name) {
  return std::make_unique<MapValuesStream>(std::move(inner), std::move(prepare), drop_name);
}

VectorStreamPtr MapLabels(VectorStreamPtr inner, std::function<void(SeriesKey*)> map) {
  return std::make_unique<MapLabelsStream>(std::move(inner), std::move(map));
}

std::function<void(SeriesKey*)> MakeLabelReplace(const CallNode& call) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  auto regex = std::make_shared<const re2::RE2>(TextArgument(call, 4), options);
  return [regex, target = TextArgument(call, 1), replacement = TextArgument(call, 2),
          source = TextArgument(call, 3)](SeriesKey* key) {
    const std::string value(key->Get(source));
    std::vector<re2::StringPiece> groups(static_cast<size_t>(regex->NumberOfCapturingGroups()) + 1);
    if (!regex->Match(value, 0, value.size(), re2::RE2::ANCHOR_BOTH, groups.data(), static_cast<int>(groups.size()))) {
      return;
    }
    SetLabel(target, Expand(replacement, *regex, groups), key);
  };
}

std::function<void(SeriesKey*)> MakeLabelJoin(const CallNode& call) {
  std::vector<std::string> sources;
  for (size_t i = 3; i < call.arguments.size(); ++i) sources.push_back(TextArgument(call, i));
  return [sources, target = TextArgument(call, 1), separator = TextArgument(call, 2)](SeriesKey* key) {
    std::string value;
    for (size_t i = 0; i < sources.size(); ++i) {
      if (i > 0) value += separator;
      value += key->Get(sources[i]);
    }
    SetLabel(target, value, key);
  };
}

VectorStreamPtr Absent(const EvaluationContext& context, VectorStreamPtr inner, const Node& of, size_t grid_size) {
  SeriesKey key;
  if (const auto* selector = std::get_if<SelectorNode>(&of.what)) {
    std::set<std::string> seen;
    for (const Matcher& matcher : selector->selector.matchers()) {
      if (matcher.label() == kMetricNameLabel) continue;
      const bool first = seen.insert(matcher.label()).second;
      // A label that is named twice is not fixed by either.
      SetLabel(matcher.label(), first && matcher.op() == Matcher::Op::kEqual ? matcher.value() : "", &key);
    }
  }
  return std::make_unique<AbsentStream>(context, std::move(inner), std::move(key), grid_size);
}

ScalarSource OnlySeries(VectorStreamPtr inner, size_t grid_size) {
  // A std::function must be copyable.
  return
      [stream = std::shared_ptr<VectorStream>(std::move(inner)), grid_size]() -> absl::StatusOr<std::vector<double>> {
        constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
        std::vector<double> values(grid_size, kNoValue);
        EvaluatedSeries series;
        while (true) {
          PB_ASSIGN_OR_RETURN(const bool more, stream->Next(&series));
          if (!more) break;
          for (size_t i = 0; i < grid_size; ++i) {
            if (!IsAbsent(series.values[i])) values[i] = IsAbsent(values[i]) ? series.values[i] : kNaN;
          }
        }
        std::replace_if(values.begin(), values.end(), IsAbsent, kNaN);
        return values;
      };
}

VectorStreamPtr Sorted(const EvaluationContext& context, VectorStreamPtr inner, bool descending) {
  return std::make_unique<SortedStream>(context, std::move(inner), descending);
}

}  // namespace pulseboard::expression
