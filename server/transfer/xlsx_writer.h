// XlsxWriter: answers of queries as an Excel workbook: a cover sheet and a sheet per query.
//
// The cover says what was asked, when, in which zone, and what came. A sheet has a row per value: time (a date cell in
// the zone), series, aggregate, unit, value, with a filter over the head. Rows go to temporary files as they come, so
// memory does not grow with the answer; the workbook is put together in a temporary file that no name leads to, and
// read back in pieces. libxlsxwriter packs it in one go, some seconds for a million rows, which nothing interrupts.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/transfer/result_export.h"

namespace pulseboard {

// What Excel can hold, its head included.
inline constexpr int64_t kExcelRows = 1'048'576;

struct XlsxOptions {
  int64_t now_unix_nanos = 0;
  std::string time_zone;              // IANA name; empty: UTC
  int64_t max_rows = kExcelRows - 1;  // of all sheets together; QUERY_TOO_BROAD beyond
};

// BAD_FIELD for an unknown zone, INTERNAL when no temporary file can be made.
absl::StatusOr<std::unique_ptr<ResultWriter>> MakeXlsxWriter(const XlsxOptions& options);

}  // namespace pulseboard
