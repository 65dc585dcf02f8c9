// Page tokens: where the next page of a list starts, bound to the request that made it. Opaque to clients.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace pulseboard {

// `request`: everything that must stay the same from page to page (tenant, kind of list, filters, page size).
// `position`: the last key of the page. The token is printable ASCII.
std::string MakePageToken(std::initializer_list<std::string_view> request, std::string_view position);

// The position, or BAD_PAGE_TOKEN when the token is damaged or belongs to another request.
absl::StatusOr<std::string> ParsePageToken(std::string_view token, std::initializer_list<std::string_view> request);

}  // namespace pulseboard
