#include "server/query/query_engine.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/model/names.h"
#include "common/model/selector.h"
#include "server/query/page_token.h"
#include "server/query/range_cursor.h"
#include "server/storage/memory_reads.h"

namespace pulseboard {
namespace {

constexpr size_t kCheckAliveEvery = 1'024;  // series between looks at the clock
constexpr size_t kPageBytes = 3 << 20;      // a page ends early here: many clients take messages of 4 MiB at most

// Limits of what is tried on an RPC thread.
constexpr int64_t kLongestHereNanos = kNanosPerMilli / 2;
constexpr size_t kMostSeriesHere = 32;
constexpr size_t kMostAlternativesHere = 64;

// Found by looking labels' values up, some only.
bool IsQuick(const Selector& selector) {
  return !selector.matchers().empty() &&
         std::all_of(selector.matchers().begin(), selector.matchers().end(), [](const Matcher& matcher) {
           if (matcher.op() == Matcher::Op::kEqual) return !matcher.value().empty();
           return matcher.op() == Matcher::Op::kRegex && matcher.literals().alternatives &&
                  matcher.literals().alternatives->size() <= kMostAlternativesHere;
         });
}

size_t AnswerBytes(const SeriesInfo& info) {
  size_t bytes = 32 + info.key.metric.size() + info.metadata.unit.size() + info.metadata.description.size();
  for (const Label& label : info.key.labels) bytes += 8 + label.name.size() + label.value.size();
  return bytes;
}

absl::StatusOr<size_t> PageSize(const PageRequest& request) {
  if (request.page_size < 0) return BadField("page_size", std::to_string(request.page_size), "0 to 10000");
  if (request.page_size == 0) return static_cast<size_t>(kDefaultPageSize);
  return static_cast<size_t>(std::min(request.page_size, kMaxPageSize));
}

// Where a page starts: after a key.
struct PagePosition {
  std::string after;  // empty: from the start
  bool first = true;
};

absl::StatusOr<PagePosition> Position(const QueryContext& context, std::string_view list, std::string_view extra,
                                      const PageRequest& request) {
  if (request.page_token.empty()) return PagePosition{};
  PB_ASSIGN_OR_RETURN(std::string after,
                      ParsePageToken(request.page_token, {std::to_string(context.tenant), list, extra, request.selector,
                                                          std::to_string(request.page_size)}));
  return PagePosition{std::move(after), false};
}

std::string NextToken(const QueryContext& context, std::string_view list, std::string_view extra,
                      const PageRequest& request, std::string_view last_key) {
  return MakePageToken(
      {std::to_string(context.tenant), list, extra, request.selector, std::to_string(request.page_size)}, last_key);
}

}  // namespace

QueryEngine::Ticket::Ticket(QueryEngine& engine, TenantId tenant)
    : engine_(engine), customer_(engine.pool_.Enter(tenant)), usage_(engine.usage_.Begin(tenant)) {}

QueryEngine::Ticket::~Ticket() { --engine_.active_; }

bool QueryEngine::Ticket::Run(std::function<void()> job) { return engine_.pool_.Submit(customer_, std::move(job)); }

bool QueryEngine::Ticket::TryHere(const std::function<bool(QueryHere*)>& job) {
  if (engine_.options_.here_samples <= 0) return false;
  bool done = false;
  const bool run = engine_.pool_.TryHere(customer_.get(), [&] {
    MemoryReads reads(engine_.options_.here_samples);
    QueryHere here{engine_.clock_.MonotonicNanos() + kLongestHereNanos, false};
    done = job(&here) && !here.given_up && !reads.failed();
  });
  if (run && done) ++engine_.answered_here_;
  return run && done;
}

QueryEngine::QueryEngine(Store& store, const Clock& clock, QueryOptions options)
    : store_(store),
      clock_(clock),
      options_(options),
      tenant_time_(options.max_tenant_time_ns > 0 ? options.max_tenant_time_ns
                                                  : std::max(1, options.threads) * kNanosPerMinute),
      pool_(clock, {std::max(1, options.threads), options.slice_ns, options.thread_niceness}, &tenant_time_) {}

QueryEngine::~QueryEngine() { Stop(); }

void QueryEngine::Stop() { pool_.Stop(); }

absl::StatusOr<std::shared_ptr<QueryEngine::Ticket>> QueryEngine::Admit(TenantId tenant) {
  if (++active_ > options_.max_active) {
    --active_;
    ++refused_busy_;
    const std::string limit = std::to_string(options_.max_active);
    return WithRetryAfterMs(
        MakeError(ErrorReason::kQueryBusy, limit + " queries are under way, the most this server works on at once",
                  {{"limit", limit}, {"setting", "query.max_active"}}),
        options_.busy_retry_ms);
  }
  std::shared_ptr<Ticket> ticket(new Ticket(*this, tenant));
  if (ticket->usage()->Add(UsageKind::kCalls, 1) > options_.max_tenant_active) {
    ++refused_busy_;
    const std::string limit = std::to_string(options_.max_tenant_active);
    return WithRetryAfterMs(MakeError(ErrorReason::kQueryBusy,
                                      limit + " queries of this tenant are under way, the most it may have at once",
                                      {{"limit", limit}, {"setting", "query.max_tenant_active"}}),
                            options_.busy_retry_ms);
  }
  if (const int64_t wait_ns = tenant_time_.WaitNs(tenant, clock_.MonotonicNanos()); wait_ns > 0) {
    ++refused_busy_;
    const std::string limit = std::to_string(tenant_time_.budget_ns() / kNanosPerMilli);
    return WithRetryAfterMs(MakeError(ErrorReason::kQueryBusy,
                                      "the queries of this tenant took all of their time: " + limit +
                                          " ms per minute (query.max_tenant_time)",
                                      {{"limitMs", limit}, {"setting", "query.max_tenant_time"}}),
                            std::max(options_.busy_retry_ms, (wait_ns + kNanosPerMilli - 1) / kNanosPerMilli));
  }
  ++admitted_;
  return ticket;
}

int64_t QueryEngine::Deadline(std::optional<int64_t> remaining_ns) const {
  const int64_t allowed =
      std::min(options_.max_duration_ns, std::max<int64_t>(0, remaining_ns.value_or(options_.max_duration_ns)));
  return clock_.MonotonicNanos() + allowed;
}

absl::Status QueryEngine::CheckAlive(const QueryContext& context) const {
  FairPool::Breathe([&context] { return context.cancellation != nullptr && context.cancellation->cancelled(); });
  if (context.cancellation != nullptr && context.cancellation->cancelled()) {
    return absl::CancelledError("the caller cancelled the query");
  }
  const int64_t now = clock_.MonotonicNanos();
  if (context.here != nullptr) PB_RETURN_IF_ERROR(NotHere(context, now >= context.here->deadline_monotonic_nanos));
  if (now < context.deadline_monotonic_nanos) return absl::OkStatus();
  const std::string limit = std::to_string(options_.max_duration_ns / kNanosPerMilli);
  return MakeError(ErrorReason::kQueryTooBroad,
                   "the query was not done within its deadline (at most " + limit + " ms, query.max_duration)",
                   {{"limitMs", limit}, {"setting", "query.max_duration"}});
}

absl::Status QueryEngine::NotHere(const QueryContext& context, bool when) const {
  if (context.here == nullptr || !when) return absl::OkStatus();
  context.here->given_up = true;
  return absl::AbortedError("not on this thread");
}

absl::Status QueryEngine::CheckSeriesCount(const QueryContext& context, std::string_view selector, size_t count) const {
  PB_RETURN_IF_ERROR(NotHere(context, count > kMostSeriesHere));
  if (count <= static_cast<size_t>(options_.max_series)) return absl::OkStatus();
  const std::string got = std::to_string(count);
  const std::string limit = std::to_string(options_.max_series);
  return MakeError(ErrorReason::kQueryTooBroad,
                   "selector '" + Printable(selector) + "' picks " + got + " series; at most " + limit +
                       " (query.max_series) would be accepted",
                   {{"selector", Printable(selector, 256)},
                    {"seriesCount", got},
                    {"limit", limit},
                    {"setting", "query.max_series"}});
}

absl::Status QueryEngine::CheckScanned(int64_t samples_and_rollups) const {
  if (samples_and_rollups <= options_.max_samples) return absl::OkStatus();
  const std::string got = std::to_string(samples_and_rollups);
  const std::string limit = std::to_string(options_.max_samples);
  return MakeError(ErrorReason::kQueryTooBroad,
                   "the query read " + got + " samples and rollups and is not done; at most " + limit +
                       " (query.max_samples) would be accepted",
                   {{"sampleCount", got}, {"limit", limit}, {"setting", "query.max_samples"}});
}

absl::Status QueryEngine::NoteScanned(const QueryContext& context, int64_t samples, int64_t rollups) {
  scanned_samples_ += samples;
  scanned_rollups_ += rollups;
  return Charge(context, UsageKind::kSamples, samples + rollups);
}

absl::Status QueryEngine::Charge(const QueryContext& context, UsageKind kind, int64_t amount) const {
  if (context.usage == nullptr || amount == 0) return absl::OkStatus();
  const int64_t together = context.usage->Add(kind, amount);
  struct Limit {
    int64_t most;
    const char* setting;
    const char* what;
  };
  const auto limit = [&]() -> Limit {
    switch (kind) {
      case UsageKind::kCalls:
        return {options_.max_tenant_active, "query.max_tenant_active", "calls"};
      case UsageKind::kSeries:
        return {options_.max_tenant_series, "query.max_tenant_series", "series"};
      case UsageKind::kSamples:
        return {options_.max_tenant_samples, "query.max_tenant_samples", "samples and rollups read"};
      case UsageKind::kHeldValues:
        return {options_.max_tenant_held_values, "query.max_tenant_held_values", "values held"};
      case UsageKind::kAnswerBytes:
        return {options_.max_tenant_answer_bytes, "query.max_tenant_answer_bytes", "bytes answered"};
    }
    return {INT64_MAX, "", ""};
  }();
  if (kind == UsageKind::kAnswerBytes && context.usage->Of(kind) > options_.max_answer_bytes) {
    const std::string most = std::to_string(options_.max_answer_bytes);
    return MakeError(ErrorReason::kQueryTooBroad,
                     "the answer is longer than " + most +
                         " bytes (query.max_answer_bytes); fewer points would be accepted, or an export",
                     {{"limit", most}, {"setting", "query.max_answer_bytes"}});
  }
  if (together <= limit.most) return absl::OkStatus();
  const std::string most = std::to_string(limit.most);
  const std::string got = std::to_string(together);
  return WithRetryAfterMs(MakeError(ErrorReason::kQueryBusy,
                                    "the queries of this tenant that are under way use " + got + " " + limit.what +
                                        " together; at most " + most + " (" + limit.setting + ") would be accepted",
                                    {{"used", got}, {"limit", most}, {"setting", limit.setting}}),
                          options_.busy_retry_ms);
}

absl::StatusOr<std::vector<SeriesId>> QueryEngine::Select(const QueryContext& context,
                                                          std::string_view selector) const {
  PB_RETURN_IF_ERROR(CheckAlive(context));
  PB_ASSIGN_OR_RETURN(const Selector compiled, Selector::Parse(selector));
  PB_RETURN_IF_ERROR(NotHere(context, !IsQuick(compiled)));
  return store_.SelectSeries(context.tenant, compiled);
}

absl::StatusOr<Selector> QueryEngine::ParseForList(const QueryContext& context, std::string_view selector) const {
  PB_RETURN_IF_ERROR(CheckAlive(context));
  return selector.empty() ? Selector() : Selector::Parse(selector);
}

// One page of the values of a label, and where the next one starts.
absl::StatusOr<std::vector<LabelValueSummary>> QueryEngine::ListValues(const QueryContext& context,
                                                                       std::string_view label, std::string_view list,
                                                                       const PageRequest& request,
                                                                       std::string* next_page_token) const {
  PB_ASSIGN_OR_RETURN(const size_t page_size, PageSize(request));
  PB_ASSIGN_OR_RETURN(const PagePosition position, Position(context, list, label, request));
  PB_ASSIGN_OR_RETURN(const Selector selector, ParseForList(context, request.selector));
  std::vector<LabelValueSummary> values = store_.ListLabelValues(
      context.tenant, label, selector, position.first ? nullptr : &position.after, page_size + 1);
  size_t kept = 0;
  for (size_t bytes = 0; kept < values.size() && kept < page_size && bytes < kPageBytes; ++kept) {
    bytes += 32 + values[kept].value.size();
  }
  if (kept < values.size()) *next_page_token = NextToken(context, list, label, request, values[kept - 1].value);
  values.resize(kept);
  return values;
}

absl::StatusOr<MetricsPage> QueryEngine::ListMetrics(const QueryContext& context, const PageRequest& request) const {
  MetricsPage page;
  PB_ASSIGN_OR_RETURN(std::vector<LabelValueSummary> names,
                      ListValues(context, kMetricNameLabel, "metrics", request, &page.next_page_token));
  for (LabelValueSummary& name : names) {
    const auto first = store_.GetSeries(name.first_series);
    page.metrics.push_back(
        {std::move(name.value), first == nullptr ? SeriesMetadata() : first->metadata, name.series_count});
  }
  return page;
}

absl::StatusOr<SeriesPage> QueryEngine::ListSeries(const QueryContext& context, const PageRequest& request) const {
  PB_ASSIGN_OR_RETURN(const size_t page_size, PageSize(request));
  PB_ASSIGN_OR_RETURN(const PagePosition position, Position(context, "series", "", request));
  PB_ASSIGN_OR_RETURN(const Selector selector, ParseForList(context, request.selector));
  const std::vector<SeriesId> ids = store_.SelectSeries(context.tenant, selector);
  auto next = ids.begin();
  if (!position.first) {
    if (position.after.size() != sizeof(SeriesId)) return ParsePageToken("", {}).status();
    next = std::upper_bound(ids.begin(), ids.end(), GetBigEndian<SeriesId>(position.after));
  }
  SeriesPage page;
  size_t bytes = 0;
  for (; next != ids.end() && page.series.size() < page_size && bytes < kPageBytes; ++next) {
    if (page.series.size() % kCheckAliveEvery == 0) PB_RETURN_IF_ERROR(CheckAlive(context));
    const auto info = store_.GetSeries(*next);
    if (info == nullptr) continue;
    bytes += AnswerBytes(*info);
    page.series.push_back(info);
  }
  if (next != ids.end()) {
    std::string last_key;
    PutBigEndian(&last_key, page.series.back()->id);
    page.next_page_token = NextToken(context, "series", "", request, last_key);
  }
  return page;
}

absl::StatusOr<LabelValuesPage> QueryEngine::ListLabelValues(const QueryContext& context, std::string_view label,
                                                             const PageRequest& request) const {
  if (label != kMetricNameLabel) PB_RETURN_IF_ERROR(ValidateLabelName("label", label));
  LabelValuesPage page;
  PB_ASSIGN_OR_RETURN(std::vector<LabelValueSummary> values,
                      ListValues(context, label, "label values", request, &page.next_page_token));
  for (LabelValueSummary& value : values) page.values.push_back({std::move(value.value), value.series_count});
  return page;
}

absl::StatusOr<CardinalityReport> QueryEngine::GetCardinality(const QueryContext& context,
                                                              const CardinalityRequest& request) const {
  if (request.limit < 0) {
    return BadField("limit", std::to_string(request.limit), "0 to " + std::to_string(kMaxCardinalityLimit));
  }
  const int32_t limit = request.limit == 0 ? kDefaultCardinalityLimit : std::min(request.limit, kMaxCardinalityLimit);
  PB_ASSIGN_OR_RETURN(const Selector selector, ParseForList(context, request.selector));
  return store_.Cardinality(context.tenant, selector, request.order, static_cast<size_t>(limit));
}

absl::StatusOr<LatestSamples> QueryEngine::QueryLatest(const QueryContext& context, std::string_view selector) const {
  PB_ASSIGN_OR_RETURN(const std::vector<SeriesId> ids, Select(context, selector));
  PB_RETURN_IF_ERROR(CheckSeriesCount(context, selector, ids.size()));
  LatestSamples answer;
  // Before reading: what commits meanwhile may be in the answer, what committed before is.
  store_.Cut([&answer](int64_t commit_sequence) { answer.commit_sequence = commit_sequence; });
  for (const SeriesId id : ids) {
    PB_RETURN_IF_ERROR(CheckAlive(context));
    PB_ASSIGN_OR_RETURN(const std::optional<Sample> sample, store_.Latest(id));
    const auto info = store_.GetSeries(id);
    if (sample && info != nullptr) answer.samples.push_back({info, *sample});
  }
  return answer;
}

absl::StatusOr<std::unique_ptr<RangeCursor>> QueryEngine::OpenRange(const QueryContext& context,
                                                                    const RangeRequest& request) {
  if (request.max_points < 0 || request.max_points > kMaxPoints) {
    return BadField("max_points", std::to_string(request.max_points), "0 to " + std::to_string(kMaxPoints));
  }
  if (request.range.end < request.range.start) {
    return BadField("end_time", std::to_string(request.range.end),
                    "a time not before start_time (" + std::to_string(request.range.start) + ")");
  }
  PB_ASSIGN_OR_RETURN(std::vector<SeriesId> ids, Select(context, request.selector));
  PB_RETURN_IF_ERROR(CheckSeriesCount(context, request.selector, ids.size()));
  PB_RETURN_IF_ERROR(Charge(context, UsageKind::kSeries, static_cast<int64_t>(ids.size())));
  PB_ASSIGN_OR_RETURN(std::unique_ptr<ReadView> view, store_.OpenView(ids, request.range, nullptr));
  return std::unique_ptr<RangeCursor>(new RangeCursor(*this, context, request, std::move(ids), std::move(view)));
}

QueryStats QueryEngine::Stats() const {
  return {active_,           admitted_,        answered_here_,  refused_busy_, static_cast<int64_t>(pool_.waiting()),
          pool_.handovers(), scanned_samples_, scanned_rollups_};
}

}  // namespace pulseboard
