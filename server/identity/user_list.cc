// UserDirectory::List and its page tokens.
#include <optional>

#include "common/base/errors.h"
#include "server/identity/tokens.h"
#include "server/identity/user_directory.h"
#include "server/identity/user_rules.h"

namespace pulseboard {
namespace {

constexpr int32_t kDefaultPageSize = 100;
constexpr int32_t kMaxPageSize = 1000;
constexpr size_t kFingerprintBytes = 8;

// Says that a token belongs to this question; forging it would only choose where to start in one's own list.
std::string Fingerprint(TenantId tenant, const UserQuery& query) {
  return HashToken(std::to_string(tenant) + '\0' + query.search + '\0' + std::to_string(static_cast<int>(query.role)) +
                   (query.include_inactive ? "+" : "-") + std::to_string(query.page_size))
      .substr(0, kFingerprintBytes);
}

bool Matches(const User& user, const UserQuery& query, const std::string& folded_search) {
  if (!user.active && !query.include_inactive) return false;
  if (query.role != Role::kUnspecified && user.role != query.role) return false;
  return FoldCase(user.user_name).find(folded_search) != std::string::npos ||
         FoldCase(user.email).find(folded_search) != std::string::npos ||
         FoldCase(user.display_name).find(folded_search) != std::string::npos;
}

}  // namespace

absl::StatusOr<UserPage> UserDirectory::List(TenantId tenant, const UserQuery& query) const {
  if (query.page_size < 0) return BadField("page_size", std::to_string(query.page_size), "0 to 1000");
  const auto page_size =
      static_cast<size_t>(query.page_size == 0 ? kDefaultPageSize : std::min(query.page_size, kMaxPageSize));
  const std::string fingerprint = Fingerprint(tenant, query);
  std::string from;  // folded user name of the first account of the page
  if (!query.page_token.empty()) {
    const std::optional<std::string> token = DecodeBase64Url(query.page_token);
    if (!token || token->size() <= kFingerprintBytes || !token->starts_with(fingerprint)) {
      return MakeError(ErrorReason::kBadPageToken, "page_token does not belong to this request");
    }
    from = token->substr(kFingerprintBytes);
  }

  const std::string folded_search = FoldCase(query.search);
  UserPage page;
  ReaderLock lock(&mu_);
  for (auto it = by_name_.lower_bound({tenant, from}); it != by_name_.end() && it->first.first == tenant; ++it) {
    if (!Matches(*it->second, query, folded_search)) continue;
    if (page.users.size() == page_size) {
      page.next_page_token = EncodeBase64Url(fingerprint + it->first.second);
      break;
    }
    page.users.push_back(it->second);
  }
  return page;
}

}  // namespace pulseboard
