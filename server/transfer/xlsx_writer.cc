#include "server/transfer/xlsx_writer.h"

#include <fcntl.h>
#include <unistd.h>
#include <xlsxwriter.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <set>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/errors.h"
#include "server/query/columns/time_columns.h"
#include "server/transfer/text_numbers.h"

namespace pulseboard {
namespace {

constexpr size_t kSheetNameBytes = 31;  // Excel's limit
constexpr size_t kCellBytes = 32'000;   // less than Excel's 32,767 characters
constexpr double kSecondsPerDay = 86'400;

// Excel counts days from 1899-12-30.
double ExcelTime(int64_t unix_nanos, absl::TimeZone zone) {
  const int64_t nanos = ((unix_nanos % kNanosPerSecond) + kNanosPerSecond) % kNanosPerSecond;
  const absl::CivilSecond civil = absl::ToCivilSecond(absl::FromUnixNanos(unix_nanos), zone);
  const double seconds = civil.hour() * 3600 + civil.minute() * 60 + civil.second();
  return static_cast<double>(absl::CivilDay(civil) - absl::CivilDay(1899, 12, 30)) +
         (seconds + static_cast<double>(nanos) / static_cast<double>(kNanosPerSecond)) / kSecondsPerDay;
}

absl::Status ExcelError(lxw_error error) {
  return MakeError(ErrorReason::kInternal, std::string("the workbook could not be written: ") + lxw_strerror(error));
}

// As much of a text as a cell takes, whole characters.
std::string Cut(const std::string& text) {
  if (text.size() <= kCellBytes) return text;
  size_t end = kCellBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

class XlsxWriter final : public ResultWriter {
 public:
  XlsxWriter(const XlsxOptions& options, absl::TimeZone zone) : options_(options), zone_(zone) {}
  ~XlsxWriter() override {
    if (book_ != nullptr) lxw_workbook_free(book_);
    if (file_ != nullptr) std::fclose(file_);
    if (!path_.empty()) ::unlink(path_.c_str());
  }

  absl::Status Open() {
    std::string path = (std::filesystem::temp_directory_path() / "pulseboard-export-XXXXXX").string();
    const int fd = ::mkostemp(path.data(), O_CLOEXEC);
    if (fd < 0) return MakeError(ErrorReason::kInternal, "no temporary file: " + std::string(std::strerror(errno)));
    ::close(fd);
    path_ = std::move(path);
    lxw_workbook_options options{};
    options.constant_memory = LXW_TRUE;
    options.use_zip64 = LXW_FALSE;
    book_ = workbook_new_opt(path_.c_str(), &options);
    if (book_ == nullptr) return MakeError(ErrorReason::kInternal, "no workbook could be begun");
    bold_ = workbook_add_format(book_);
    format_set_bold(bold_);
    date_ = workbook_add_format(book_);
    format_set_num_format(date_, "yyyy-mm-dd hh:mm:ss.000");
    cover_ = workbook_add_worksheet(book_, TakeName("About"));
    worksheet_set_column(cover_, 0, 0, 18, nullptr);
    worksheet_set_column(cover_, 1, 1, 80, nullptr);
    CoverText("Pulseboard", "Answers of queries", bold_);
    CoverTime("Exported at", options_.now_unix_nanos);
    CoverText("Time zone", options_.time_zone.empty() ? "UTC" : options_.time_zone);
    return absl::OkStatus();
  }

  absl::Status BeginQuery(const ExportQuery& query) override {
    const TimeRange range = QueryRangeOf(query);
    const char* const name = TakeName(query.title.empty() ? "Query" : query.title);
    sheet_ = workbook_add_worksheet(book_, name);
    if (sheet_ == nullptr) return MakeError(ErrorReason::kInternal, "a sheet could not be added");
    ++cover_row_;
    CoverText("Sheet", name, bold_);
    CoverText("Asked", QueryText(query));
    CoverTime("From", range.start);
    CoverTime("To", range.end);
    const char* const head[] = {"Time", "Series", "Aggregate", "Unit", "Value"};
    const double widths[] = {24, 60, 16, 10, 20};
    for (lxw_col_t i = 0; i < 5; ++i) {
      worksheet_set_column(sheet_, i, i, widths[i], nullptr);
      PB_RETURN_IF_ERROR(Check(worksheet_write_string(sheet_, 0, i, head[i], bold_)));
    }
    worksheet_freeze_panes(sheet_, 1, 0);
    row_ = 1;
    units_.clear();
    return absl::OkStatus();
  }

  absl::Status Values(const ResultLine& line, const SampleColumns& samples, std::string* /*out*/) override {
    rows_ += static_cast<int64_t>(samples.size());
    if (rows_ > options_.max_rows) {
      const std::string limit = std::to_string(options_.max_rows);
      return MakeError(ErrorReason::kQueryTooBroad,
                       "the workbook would have more than " + limit +
                           " rows (transfer.max_xlsx_rows); fewer points would be accepted, or CSV",
                       {{"limit", limit}, {"setting", "transfer.max_xlsx_rows"}});
    }
    const std::string format = line.series->key.Format();
    const std::string series = format.empty() ? "{}" : format;
    const std::string aggregate = (line.earlier ? "earlier " : "") + line.aggregate;
    const std::string& unit = line.series->metadata.unit;
    if (!unit.empty()) units_.insert(unit);
    for (size_t i = 0; i < samples.size(); ++i, ++row_) {
      PB_RETURN_IF_ERROR(Check(worksheet_write_number(sheet_, row_, 0, ExcelTime(samples.times[i], zone_), date_)));
      PB_RETURN_IF_ERROR(Text(row_, 1, series));
      PB_RETURN_IF_ERROR(Text(row_, 2, aggregate));
      PB_RETURN_IF_ERROR(Text(row_, 3, unit));
      PB_RETURN_IF_ERROR(Number(row_, samples.values[i]));
    }
    return absl::OkStatus();
  }

  absl::Status EndQuery(const RangeSummary& summary) override {
    worksheet_autofilter(sheet_, 0, 0, std::max<lxw_row_t>(1, row_ - 1), 4);
    std::string units;
    for (const std::string& unit : units_) units += (units.empty() ? "" : ", ") + unit;
    CoverText("Units", units.empty() ? "none" : units);
    CoverText("Series", std::to_string(summary.series_count));
    CoverText("Rows", std::to_string(row_ - 1));
    CoverText("Commit", std::to_string(summary.commit_sequence));
    return absl::OkStatus();
  }

  absl::Status Finish(std::string* /*out*/) override {
    const lxw_error error = workbook_close(std::exchange(book_, nullptr));
    if (error != LXW_NO_ERROR) return ExcelError(error);
    file_ = std::fopen(path_.c_str(), "rbe");
    if (file_ == nullptr) return MakeError(ErrorReason::kInternal, "the workbook cannot be read back");
    ::unlink(std::exchange(path_, "").c_str());
    return absl::OkStatus();
  }

  absl::StatusOr<bool> NextBytes(std::string* out) override {
    const size_t before = out->size();
    out->resize(before + kExportPieceBytes);
    const size_t read = std::fread(out->data() + before, 1, kExportPieceBytes, file_);
    out->resize(before + read);
    if (std::ferror(file_) != 0) return MakeError(ErrorReason::kInternal, "the workbook cannot be read back");
    return read == kExportPieceBytes;
  }

 private:
  static absl::Status Check(lxw_error error) { return error == LXW_NO_ERROR ? absl::OkStatus() : ExcelError(error); }

  absl::Status Text(lxw_row_t row, lxw_col_t column, const std::string& text) {
    if (text.empty()) return absl::OkStatus();
    return Check(worksheet_write_string(sheet_, row, column, Cut(text).c_str(), nullptr));
  }
  absl::Status Number(lxw_row_t row, double value) {
    if (std::isfinite(value)) return Check(worksheet_write_number(sheet_, row, 4, value, nullptr));
    std::string text;  // Excel has no numbers for these
    AppendValue(value, &text);
    return Text(row, 4, text);
  }
  void CoverText(const char* what, const std::string& text, lxw_format* format = nullptr) {
    worksheet_write_string(cover_, cover_row_, 0, what, bold_);
    worksheet_write_string(cover_, cover_row_++, 1, Cut(text).c_str(), format);
  }
  void CoverTime(const char* what, int64_t unix_nanos) {
    worksheet_write_string(cover_, cover_row_, 0, what, bold_);
    worksheet_write_number(cover_, cover_row_++, 1, ExcelTime(unix_nanos, zone_), date_);
  }

  // A name that Excel takes, like no other: letters in any case, digits and little else, 31 bytes. Lives with the book.
  const char* TakeName(const std::string& wanted) {
    std::string name;
    for (const char c : wanted.substr(0, kSheetNameBytes)) {
      const auto byte = static_cast<unsigned char>(c);
      name += byte < 0x80 && (std::isalnum(byte) != 0 || c == ' ' || c == '_' || c == '-' || c == '.') ? c : '_';
    }
    for (int number = 2;; ++number) {
      std::string lower = name;
      for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      if (lower_names_.insert(lower).second) break;
      const std::string suffix = " " + std::to_string(number);
      name = name.substr(0, kSheetNameBytes - suffix.size()) + suffix;
    }
    return names_.emplace_back(std::make_unique<std::string>(std::move(name)))->c_str();
  }

  const XlsxOptions options_;
  const absl::TimeZone zone_;
  std::string path_;
  lxw_workbook* book_ = nullptr;
  lxw_format* bold_ = nullptr;
  lxw_format* date_ = nullptr;
  lxw_worksheet* cover_ = nullptr;
  lxw_worksheet* sheet_ = nullptr;
  lxw_row_t cover_row_ = 0;
  lxw_row_t row_ = 0;  // next one of the open sheet
  int64_t rows_ = 0;
  std::set<std::string> units_;
  std::set<std::string> lower_names_;
  std::vector<std::unique_ptr<std::string>> names_;
  std::FILE* file_ = nullptr;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ResultWriter>> MakeXlsxWriter(const XlsxOptions& options) {
  PB_ASSIGN_OR_RETURN(const absl::TimeZone zone, FindTimeZone("time_zone", options.time_zone));
  auto writer = std::make_unique<XlsxWriter>(options, zone);
  PB_RETURN_IF_ERROR(writer->Open());
  return std::unique_ptr<ResultWriter>(std::move(writer));
}

}  // namespace pulseboard
