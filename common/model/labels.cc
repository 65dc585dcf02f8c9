#include "common/model/labels.h"

#include <algorithm>

#include "common/base/endian.h"

namespace pulseboard {
namespace {

void PutString(std::string* out, std::string_view s) {
  PutLittleEndian<uint32_t>(out, static_cast<uint32_t>(s.size()));
  out->append(s);
}

bool TakeString(std::string_view* in, std::string* out) {
  if (in->size() < sizeof(uint32_t)) return false;
  const auto size = GetLittleEndian<uint32_t>(*in);
  in->remove_prefix(sizeof(uint32_t));
  if (in->size() < size) return false;
  out->assign(in->substr(0, size));
  in->remove_prefix(size);
  return true;
}

void AppendQuoted(std::string* out, std::string_view value) {
  out->push_back('"');
  for (const char c : value) {
    if (c == '"' || c == '\\') out->push_back('\\');
    if (c == '\n') {
      *out += "\\n";
    } else {
      out->push_back(c);
    }
  }
  out->push_back('"');
}

}  // namespace

Labels::Labels(std::vector<Label> labels) {
  std::stable_sort(labels.begin(), labels.end(), [](const Label& a, const Label& b) { return a.name < b.name; });
  for (Label& label : labels) {
    if (!labels_.empty() && labels_.back().name == label.name) labels_.pop_back();
    labels_.push_back(std::move(label));
  }
  std::erase_if(labels_, [](const Label& label) { return label.value.empty(); });
}

std::string_view Labels::Get(std::string_view name) const {
  const auto it = std::lower_bound(labels_.begin(), labels_.end(), name,
                                   [](const Label& label, std::string_view n) { return label.name < n; });
  return it != labels_.end() && it->name == name ? std::string_view(it->value) : std::string_view();
}

std::string_view SeriesKey::Get(std::string_view label_name) const {
  return label_name == kMetricNameLabel ? std::string_view(metric) : labels.Get(label_name);
}

std::string SeriesKey::Format() const {
  std::string out = metric;
  if (labels.empty()) return out;
  char separator = '{';
  for (const Label& label : labels) {
    out.push_back(separator);
    out += label.name;
    out.push_back('=');
    AppendQuoted(&out, label.value);
    separator = ',';
  }
  out.push_back('}');
  return out;
}

std::string SeriesKey::Encode() const {
  std::string out;
  PutString(&out, metric);
  for (const Label& label : labels) {
    PutString(&out, label.name);
    PutString(&out, label.value);
  }
  return out;
}

bool SeriesKey::Decode(std::string_view bytes, SeriesKey* key) {
  if (!TakeString(&bytes, &key->metric)) return false;
  std::vector<Label> labels;
  while (!bytes.empty()) {
    Label label;
    if (!TakeString(&bytes, &label.name) || !TakeString(&bytes, &label.value)) return false;
    labels.push_back(std::move(label));
  }
  key->labels = Labels(std::move(labels));
  return true;
}

}  // namespace pulseboard
