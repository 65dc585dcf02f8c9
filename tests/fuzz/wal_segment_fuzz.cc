// A log of three segments, damaged as the input says, then looked through, opened, mended and opened again. Whatever
// the damage: nothing crashes, opening replays what was written or names file and offset, and every record that was not
// hit is there after the mending.
//   'R' and bytes: they are the last segment's file.   'P' and bytes: they are the payload of its last record.
//   else: steps of four bytes each.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/base/errors.h"
#include "common/base/log.h"
#include "server/storage/wal.h"
#include "server/storage/wal_rewrite.h"
#include "server/storage/wal_scan.h"
#include "tests/unit/storage/simulated_disk.h"

namespace pulseboard {
namespace {

constexpr int64_t kSegments = 3;
constexpr int64_t kRecords = 5;  // in each
constexpr size_t kSpareBytes = 200;
const std::string kStoreId(kStoreIdBytes, 's');

void Check(bool holds, std::string_view what) {
  if (holds) return;
  std::fprintf(stderr, "%.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

int64_t FirstOf(int64_t segment) { return segment * kRecords + 1; }
uint32_t SaltOf(int64_t segment) { return 0x1000 + static_cast<uint32_t>(segment); }
std::string PathOf(int64_t segment) { return "/store/wal/" + SegmentName(FirstOf(segment)); }

std::string PayloadOf(int64_t commit) {
  AppendBatch batch;
  batch.tenant = 1;
  batch.producer_id = commit % 2 == 0 ? "pusher" : "";
  batch.sequence = commit;
  for (int64_t i = 0; i <= commit % 4; ++i) {
    batch.series.push_back(static_cast<SeriesId>(1 + i));
    batch.times.push_back(1'000'000 * (commit * 10 + i));
    batch.values.push_back(static_cast<double>(commit) / 8);
  }
  std::string payload;
  EncodeWalRecord(commit, 77, batch, {}, {}, &payload);
  return payload;
}

std::string FrameOf(int64_t segment, std::string_view payload, size_t offset) {
  std::string frame;
  ReserveFrame(&frame);
  frame += payload;
  FinishFrame(frame.data(), FrameType::kCommit, static_cast<uint32_t>(payload.size()), SaltOf(segment),
              static_cast<int64_t>(offset));
  return frame;
}

// One segment: which records stand in it in which order, and its bytes.
struct Damaged {
  struct Place {
    int64_t commit = 0;
    size_t offset = 0;
    size_t end = 0;
    bool is_hit = false;
  };
  std::vector<int64_t> order;
  std::vector<Place> places;
  std::string bytes;
  bool is_there = true;
  bool header_is_hit = false;
  bool is_reordered = false;

  // After all damage was done.
  void FindHits(std::string_view pristine) {
    const auto is_as_before = [&](size_t from, size_t to) {
      return bytes.size() >= to && std::string_view(bytes).substr(from, to - from) == pristine.substr(from, to - from);
    };
    header_is_hit = !is_as_before(0, kSegmentHeaderBytes);
    for (Place& place : places) place.is_hit = !is_as_before(place.offset, place.end);
  }
  // The longest ascending list of records that are whole, as one that looks through it can keep.
  size_t CountKeepable() const {
    std::vector<int64_t> whole;
    for (const Place& place : places) {
      if (!place.is_hit) whole.push_back(place.commit);
    }
    if (header_is_hit && whole.size() < 2) return 0;
    std::vector<size_t> longest(whole.size(), 1);
    size_t most = 0;
    for (size_t i = 0; i < whole.size(); ++i) {
      for (size_t j = 0; j < i; ++j) {
        if (whole[j] < whole[i]) longest[i] = std::max(longest[i], longest[j] + 1);
      }
      most = std::max(most, longest[i]);
    }
    return most;
  }
};

class Log {
 public:
  Log() {
    for (int64_t s = 0; s < kSegments; ++s) {
      for (int64_t i = 0; i < kRecords; ++i) segments_[static_cast<size_t>(s)].order.push_back(FirstOf(s) + i);
    }
  }

  void ApplySteps(std::string_view steps) {
    for (size_t at = 0; at + 4 <= steps.size(); at += 4) Reorder(steps.substr(at, 4));
    WriteBytes();
    const std::vector<Damaged> pristine = segments_;
    for (size_t at = 0; at + 4 <= steps.size(); at += 4) Break(steps.substr(at, 4));
    for (size_t s = 0; s < segments_.size(); ++s) segments_[s].FindHits(pristine[s].bytes);
  }
  void SetLastFile(std::string_view bytes) {
    WriteBytes();
    segments_.back().bytes = bytes;
    is_arbitrary_ = true;
  }
  void SetLastPayload(std::string_view payload) {
    WriteBytes();
    Damaged& last = segments_.back();
    const size_t offset = last.places.back().offset;
    last.bytes = last.bytes.substr(0, offset) + FrameOf(kSegments - 1, payload, offset);
    is_arbitrary_ = true;
  }

  void Run() {
    Check(disk_.CreateDirectory("/store").ok() && disk_.CreateDirectory("/store/wal").ok(), "make the directory");
    for (int64_t s = 0; s < kSegments; ++s) {
      const Damaged& segment = segments_[static_cast<size_t>(s)];
      if (segment.is_there) Check(disk_.Open(PathOf(s), true).value()->WriteAt(0, segment.bytes).ok(), "write");
    }
    const bool is_whole = LookThrough();
    const absl::Status opened = OpenLog();
    Check(opened.ok() == is_whole, "opening and looking through disagree: " + StatusMessage(opened));
    if (opened.ok()) return;
    Check(HasReason(opened, ErrorReason::kBlockCorrupt), StatusMessage(opened));
    const auto detail = GetErrorDetail(opened);
    Check(detail && detail->metadata.contains("file") && detail->metadata.contains("offset"), "damage is not located");
    Mend();
    const absl::Status mended = OpenLog();
    Check(mended.ok(), "a mended log does not open: " + StatusMessage(mended));
    Check(replayed_ == kept_, "a mended log has other records than were found");
  }

 private:
  static uint8_t At(std::string_view step, size_t i) { return static_cast<uint8_t>(step[i]); }
  Damaged& SegmentOf(std::string_view step) { return segments_[At(step, 1) % kSegments]; }

  void Reorder(std::string_view step) {
    std::vector<int64_t>& order = SegmentOf(step).order;
    if (order.empty()) return;
    const size_t a = At(step, 2) % order.size(), b = At(step, 3) % order.size();
    switch (At(step, 0) % 8) {
      case 0:
        std::swap(order[a], order[b]);
        break;
      case 1:
        if (order.size() < 32) order.insert(order.begin() + static_cast<std::ptrdiff_t>(a), order[b]);
        break;
      case 2:
        order.erase(order.begin() + static_cast<std::ptrdiff_t>(a));
        break;
      default:
        return;
    }
    SegmentOf(step).is_reordered = true;
  }

  void WriteBytes() {
    for (int64_t s = 0; s < kSegments; ++s) {
      Damaged& segment = segments_[static_cast<size_t>(s)];
      segment.bytes = EncodeSegmentHeader({SaltOf(s), FirstOf(s), kStoreId});
      for (const int64_t commit : segment.order) {
        const size_t offset = segment.bytes.size();
        segment.bytes += FrameOf(s, PayloadOf(commit), offset);
        segment.places.push_back({commit, offset, segment.bytes.size()});
      }
      segment.bytes.resize(segment.bytes.size() + kSpareBytes);
    }
  }

  void Break(std::string_view step) {
    Damaged& segment = SegmentOf(step);
    std::string& bytes = segment.bytes;
    if (bytes.empty()) return;
    const size_t at = (At(step, 2) * size_t{256} + At(step, 3)) % bytes.size();
    switch (At(step, 0) % 8) {
      case 3:
      case 4:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << (At(step, 0) / 8) % 8));
        break;
      case 5:
        bytes.resize(at);
        break;
      case 6: {
        const size_t end = std::min(bytes.size(), at + size_t{1} + At(step, 0) / 8 * 8);
        std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.begin() + static_cast<std::ptrdiff_t>(end),
                  '\0');
        break;
      }
      case 7:
        segment.is_there = At(step, 3) % 4 != 0 && segment.is_there;
        break;
      default:
        break;
    }
  }

  class Visitor final : public SegmentVisitor {
   public:
    Visitor(Log* log, bool is_arbitrary) : log_(log), is_arbitrary_(is_arbitrary) {}
    absl::Status OnRecord(const WalRecord& record, std::string_view payload) override {
      Check(log_->kept_.empty() || record.commit_sequence > *log_->kept_.rbegin(), "records out of order");
      Check(is_arbitrary_ || payload == PayloadOf(record.commit_sequence), "a record that was never written");
      log_->kept_.insert(record.commit_sequence);
      ++records;
      return absl::OkStatus();
    }
    absl::Status OnGap(const CommitRange&) override { return absl::OkStatus(); }
    absl::Status OnMissing(const CommitRange&) override { return Damage(); }
    absl::Status OnDamage(int64_t offset, int64_t end, std::string_view) override {
      Check(offset >= 0 && end >= offset, "a place that is none");
      return Damage();
    }
    absl::Status Damage() {
      is_whole = false;
      return absl::OkStatus();
    }
    size_t records = 0;
    bool is_whole = true;

   private:
    Log* const log_;
    const bool is_arbitrary_;
  };

  // In the order of the names; `visit` gets the number of each segment that is there and the first commit of the next.
  template <typename Visit>
  void ForEachSegment(const Visit& visit) {
    std::vector<int64_t> there;
    for (int64_t s = 0; s < kSegments; ++s) {
      if (segments_[static_cast<size_t>(s)].is_there) there.push_back(s);
    }
    for (size_t i = 0; i < there.size(); ++i) {
      visit(there[i], i + 1 < there.size() ? std::optional(FirstOf(there[i + 1])) : std::nullopt);
    }
  }

  bool LookThrough() {
    bool is_whole = true;
    int64_t last = 0;
    ForEachSegment([&](int64_t s, std::optional<int64_t> next) {
      last_before_[s] = last;
      const auto suspect = OpenSuspect(&disk_, PathOf(s), FirstOf(s), kStoreId);
      Check(suspect.ok(), "open");
      const bool is_arbitrary = is_arbitrary_ && s == kSegments - 1;
      Visitor visitor(this, is_arbitrary);
      Check(ScanSegment(*suspect, next, &last, &visitor).ok(), "scan");
      is_whole = is_whole && visitor.is_whole;
      if (!visitor.is_whole) damaged_.insert(s);
      const Damaged& segment = segments_[static_cast<size_t>(s)];
      if (is_arbitrary) return;
      if (next || !segment.is_reordered) {
        Check(visitor.records == segment.CountKeepable(), "kept less than was whole, or more");
      } else {  // what stands out of its place tells nothing about what was synced before
        Check(visitor.records <= segment.CountKeepable(), "kept what is damaged");
      }
    });
    return is_whole;
  }

  void Mend() {
    SegmentRewriter rewriter(&disk_, "/store", kStoreId);
    ForEachSegment([&](int64_t s, std::optional<int64_t> next) {
      if (!damaged_.contains(s)) return;
      const auto suspect = OpenSuspect(&disk_, PathOf(s), FirstOf(s), kStoreId);
      int64_t last = last_before_[s];
      Check(rewriter.Begin(last + 1).ok(), "begin");
      Check(ScanSegment(*suspect, next, &last, &rewriter).ok(), "scan");
      Check(rewriter.Finish(SegmentName(FirstOf(s))).ok(), "finish");
    });
  }

  absl::Status OpenLog() {
    replayed_.clear();
    WalOptions options;
    options.directory = "/store/wal";
    options.store_id = kStoreId;
    options.segment_bytes = 256;
    options.files = &disk_;
    WalRecovery recovery;
    const auto replay = [this](const WalRecord& record) {
      replayed_.insert(record.commit_sequence);
      return absl::OkStatus();
    };
    return Wal::Open(std::move(options), 0, replay, &recovery).status();
  }

  std::vector<Damaged> segments_ = std::vector<Damaged>(kSegments);
  bool is_arbitrary_ = false;  // the last segment has bytes of which nobody knows what they mean
  SimulatedDisk disk_;
  std::map<int64_t, int64_t> last_before_;
  std::set<int64_t> damaged_, kept_, replayed_;
};

int Try(std::string_view input) {
  spdlog::set_level(spdlog::level::off);  // damage is what this is about
  Log log;
  if (input.starts_with('R')) {
    log.SetLastFile(input.substr(1));
  } else if (input.starts_with('P')) {
    log.SetLastPayload(input.substr(1));
  } else {
    log.ApplySteps(input);
  }
  log.Run();
  return 0;
}

}  // namespace
}  // namespace pulseboard

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return pulseboard::Try({reinterpret_cast<const char*>(data), size});
}
