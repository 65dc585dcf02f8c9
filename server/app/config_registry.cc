#include "server/app/config_registry.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "common/base/units.h"
#include "server/app/config_value.h"

namespace pulseboard {
namespace {

std::vector<std::string_view> SplitChoices(std::string_view choices) {
  std::vector<std::string_view> out;
  while (!choices.empty()) {
    const size_t bar = choices.find('|');
    out.push_back(choices.substr(0, bar));
    choices.remove_prefix(bar == std::string_view::npos ? choices.size() : bar + 1);
  }
  return out;
}

std::string FormatNumber(ConfigKind kind, int64_t value) {
  if (kind == ConfigKind::kBytes) return FormatBytes(value);
  if (kind == ConfigKind::kDuration) return FormatDuration(value);
  return std::to_string(value);
}

std::optional<int64_t> ParseNumber(ConfigKind kind, std::string_view text) {
  if (kind == ConfigKind::kBytes) return ParseBytes(text);
  if (kind == ConfigKind::kDuration) return ParseDuration(text);
  return ParseInteger(text);
}

bool IsNumber(ConfigKind kind) {
  return kind == ConfigKind::kInteger || kind == ConfigKind::kBytes || kind == ConfigKind::kDuration;
}

// Edits to make one text of the other.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replace, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

std::string QuoteToml(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out + '"';
}

// `text` as comment lines of at most 118 bytes.
void AppendComment(std::string_view text, std::string* out) {
  constexpr size_t kWidth = 116;
  while (!text.empty()) {
    size_t cut = text.size() <= kWidth ? text.size() : text.rfind(' ', kWidth);
    *out += "# " + std::string(text.substr(0, cut)) + "\n";
    text.remove_prefix(std::min(text.size(), cut + 1));
  }
}

}  // namespace

std::string ConfigKey::EnvironmentName() const {
  std::string out = "PULSEBOARD_" + std::string(name);
  for (char& c : out) {
    if (c == '.') c = '_';
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return out;
}

std::string ConfigKey::Accepted() const {
  const std::string bounds = FormatNumber(kind, min) + " to " + FormatNumber(kind, max);
  switch (kind) {
    case ConfigKind::kText:
      return "a " + std::string(unit);
    case ConfigKind::kAddress:
      return "HOST:PORT or [IPV6]:PORT";
    case ConfigKind::kChoice: {
      std::string out;
      const std::vector<std::string_view> all = SplitChoices(choices);
      for (size_t i = 0; i < all.size(); ++i) {
        out += (i == 0 ? "" : i + 1 == all.size() ? " or " : ", ") + std::string(all[i]);
      }
      return out;
    }
    case ConfigKind::kBool:
      return "true or false";
    case ConfigKind::kInteger:
      return bounds + " (" + std::string(unit) + ")";
    case ConfigKind::kBytes:
      return bounds + ", a number of bytes or one with KiB, MiB, GiB or TiB,";
    case ConfigKind::kDuration:
      return bounds + ", numbers with ns, us, ms, s, m, h or d,";
  }
  return "";
}

const ConfigKey* FindConfigKey(std::string_view name) {
  for (const ConfigKey& key : AllConfigKeys()) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

std::string_view SimilarConfigKey(std::string_view name) {
  std::string_view best;
  size_t best_distance = std::max<size_t>(2, name.size() / 4) + 1;
  for (const ConfigKey& key : AllConfigKeys()) {
    // A key under the wrong table is a common mistake as well.
    const size_t distance = key.key() == name.substr(name.find('.') + 1) ? 1 : EditDistance(name, key.name);
    if (distance < best_distance) {
      best_distance = distance;
      best = key.name;
    }
  }
  return best;
}

absl::Status SetConfigValue(const ConfigKey& key, std::string_view text, ServerConfig* config) {
  const auto bad = [&] {
    return absl::InvalidArgumentError("got \"" + std::string(text) + "\"; " + key.Accepted() + " would be accepted");
  };
  const ConfigKey::Target target = key.target(*config);
  if (IsNumber(key.kind)) {
    const std::optional<int64_t> value = ParseNumber(key.kind, text);
    if (!value || *value < key.min || *value > key.max) return bad();
    if (int32_t* const* narrow = std::get_if<int32_t*>(&target)) {
      **narrow = static_cast<int32_t>(*value);
    } else {
      *std::get<int64_t*>(target) = *value;
    }
  } else if (key.kind == ConfigKind::kBool) {
    const std::optional<bool> value = ParseBool(text);
    if (!value) return bad();
    *std::get<bool*>(target) = *value;
  } else {
    const std::vector<std::string_view> choices = SplitChoices(key.choices);
    if (!choices.empty() && std::find(choices.begin(), choices.end(), text) == choices.end()) return bad();
    if (key.kind == ConfigKind::kAddress && !ParseHostPort(std::string(text)).ok()) return bad();
    *std::get<std::string*>(target) = std::string(text);
  }
  return absl::OkStatus();
}

std::string GetConfigValue(const ConfigKey& key, const ServerConfig& config) {
  ServerConfig copy = config;
  const ConfigKey::Target target = key.target(copy);
  if (std::string* const* text = std::get_if<std::string*>(&target)) return **text;
  if (bool* const* flag = std::get_if<bool*>(&target)) return **flag ? "true" : "false";
  if (int32_t* const* narrow = std::get_if<int32_t*>(&target)) return FormatNumber(key.kind, **narrow);
  return FormatNumber(key.kind, *std::get<int64_t*>(target));
}

std::string TomlValue(const ConfigKey& key, const ServerConfig& config) {
  const std::string text = GetConfigValue(key, config);
  return key.kind == ConfigKind::kBool || ParseInteger(text) ? text : QuoteToml(text);
}

std::string SampleConfigFile() {
  std::string out =
      "# Settings of pulseboardd and their defaults. Made by `pulseboardd config --sample`.\n"
      "# Order: default < this file (--config FILE) < environment (PULSEBOARD_<TABLE>_<KEY>) < --set "
      "table.key=value.\n";
  const ServerConfig defaults;
  std::string_view table;
  for (const ConfigKey& key : AllConfigKeys()) {
    if (key.table() != table) {
      table = key.table();
      out += "\n[" + std::string(table) + "]\n";
    }
    out += "\n";
    AppendComment(key.doc, &out);
    std::string accepted = key.Accepted();
    if (accepted.ends_with(',')) accepted.pop_back();
    AppendComment(accepted + (key.reloadable ? ". Taken over on SIGHUP." : "."), &out);
    out += "#" + std::string(key.key()) + " = " + TomlValue(key, defaults) + "\n";
  }
  return out;
}

}  // namespace pulseboard
