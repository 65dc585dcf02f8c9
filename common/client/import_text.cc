#include "common/client/import_text.h"

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <future>
#include <map>
#include <optional>
#include <thread>
#include <utility>

#include "common/base/errors.h"
#include "common/base/mutex.h"
#include "common/client/channel.h"
#include "common/client/sent_text.h"
#include "common/client/session.h"
#include "common/wire/status.h"
#include "pulseboard/v1/transfer.grpc.pb.h"

namespace pulseboard::client {
namespace {

using Clock = std::chrono::steady_clock;
using Stream = grpc::ClientReaderWriter<v1::ImportRequest, v1::ImportResponse>;

constexpr size_t kContextBytes = 1 << 20;  // per message

absl::StatusOr<std::string> WaitForToken(TokenSource& tokens, std::string rejected) {
  // Shared: `done` runs once, perhaps after a session that is destroyed has made us give up waiting.
  auto token = std::make_shared<std::promise<absl::StatusOr<std::string>>>();
  auto answer = token->get_future();
  tokens.FetchToken(std::move(rejected), [token](const absl::StatusOr<std::string>& got) { token->set_value(got); });
  return answer.get();
}

// Whether a call that ended like this may be made again.
bool MayRetry(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kUnauthenticated:
      return true;
    case absl::StatusCode::kResourceExhausted:
      return HasReason(status, ErrorReason::kTransferBusy) || HasReason(status, ErrorReason::kIngestBacklogFull) ||
             HasReason(status, ErrorReason::kDiskFull);
    default:
      return false;
  }
}

void AddCounts(const v1::ImportProgress& from, v1::ImportProgress* to) {
  to->set_byte_count(to->byte_count() + from.byte_count());
  to->set_line_count(to->line_count() + from.line_count());
  to->set_accepted_count(to->accepted_count() + from.accepted_count());
  to->set_refused_count(to->refused_count() + from.refused_count());
}

// One import over as many connections as it takes.
class TextImport {
 public:
  TextImport(const std::shared_ptr<grpc::Channel>& channel, TokenSource& tokens, TextSource& text,
             const ImportTextOptions& options)
      : stub_(v1::TransferService::NewStub(channel)),
        tokens_(tokens),
        text_(text),
        options_(options),
        sent_(options.spec.format() == v1::TEXT_FORMAT_CSV) {}

  absl::StatusOr<v1::ImportSummary> Run() {
    Backoff backoff(options_.backoff);
    Clock::time_point progress_at = Clock::now();
    std::string rejected;
    while (true) {
      const int64_t committed_before = committed();
      absl::Status status = Attempt(&rejected);
      if (status.ok()) return Total();
      if (!source_status_.ok()) return source_status_;
      if (committed() > committed_before) {
        progress_at = Clock::now();
        backoff.Reset();
      }
      if (!MayRetry(status) || Clock::now() - progress_at > options_.patience) return status;
      KeepCounts();
      if (options_.on_retry) options_.on_retry(status);
      if (status.code() != absl::StatusCode::kUnauthenticated || committed() == committed_before) {
        std::this_thread::sleep_for(backoff.Next());
      }
    }
  }

 private:
  // One connection.
  absl::Status Attempt(std::string* rejected) {
    absl::StatusOr<std::string> token = WaitForToken(tokens_, std::exchange(*rejected, ""));
    if (!token.ok()) return token.status();
    grpc::ClientContext context;
    AddBearer(&context, *token);
    const std::unique_ptr<Stream> stream = stub_->Import(&context);
    v1::ImportRequest request;
    *request.mutable_spec() = options_.spec;
    v1::ImportResponse response;
    if (stream->Write(request) && stream->Read(&response) && response.has_started()) {
      {
        MutexLock lock(&mu_);
        answers_over_ = false;
        summary_.reset();
        if (!resumed_at_) resumed_at_ = response.started().resume_offset();
      }
      std::thread reader([&] { ReadAnswers(stream.get()); });
      const bool sent = Send(stream.get(), response.started().resume_offset());
      if (sent) {
        request.mutable_end();
        stream->Write(request);
        stream->WritesDone();
      }
      if (!source_status_.ok()) context.TryCancel();
      reader.join();
    }
    const absl::Status status = FromGrpcStatus(stream->Finish());
    if (status.code() == absl::StatusCode::kUnauthenticated) *rejected = *token;
    if (!status.ok()) return status;
    MutexLock lock(&mu_);
    return summary_ ? absl::OkStatus() : absl::UnavailableError("the server ended the import without its summary");
  }

  bool Send(Stream* stream, int64_t offset) {
    // What an earlier process has got committed is read and passed by.
    while (sent_.end() < offset) {
      if (!ReadMore()) break;
      sent_.Forget(offset);
    }
    if (!source_status_.ok()) return false;
    if (sent_.end() < offset) {
      source_status_ = absl::FailedPreconditionError("the text is shorter (" + std::to_string(sent_.end()) +
                                                     " bytes) than what was imported of it before (" +
                                                     std::to_string(offset) + "): give it another producer id");
      return false;
    }
    if (offset > 0 && !SendContext(stream, offset)) return false;
    bool first = true;
    while (true) {
      if (sent_.end() == offset && !(WaitForRoom() && ReadMore())) return source_status_.ok() && !ended();
      SentText::Piece piece = sent_.From(offset);
      v1::ImportRequest request;
      v1::ImportChunk* chunk = request.mutable_chunk();
      chunk->set_offset(offset);
      if (std::exchange(first, false) && offset > 0) chunk->set_line(piece.line);
      offset += static_cast<int64_t>(piece.bytes.size());
      chunk->set_data(std::move(piece.bytes));
      if (!stream->Write(request)) return false;
      sent_.Forget(committed());
    }
  }

  bool SendContext(Stream* stream, int64_t offset) {
    const std::string context = sent_.ContextBefore(offset);
    for (size_t at = 0; at < context.size(); at += kContextBytes) {
      v1::ImportRequest request;
      request.mutable_context()->set_data(context.substr(at, kContextBytes));
      if (!stream->Write(request)) return false;
    }
    return true;
  }

  // False at the end of the text and when it cannot be read.
  bool ReadMore() {
    std::string bytes;
    source_status_ = text_.Read(options_.chunk_bytes, &bytes);
    if (!source_status_.ok() || bytes.empty()) return false;
    sent_.Append(std::move(bytes));
    return true;
  }

  // Waits while too much is sent and not committed; false when the connection is over.
  bool WaitForRoom() {
    while (sent_.window_bytes() > options_.max_window_bytes) {
      MutexLock lock(&mu_);
      while (!answers_over_ && answered_ == seen_answers_) changed_.Wait(&mu_);
      if (answers_over_) return false;
      seen_answers_ = answered_;
      sent_.Forget(committed_);
    }
    return !ended();
  }

  void ReadAnswers(Stream* stream) {
    v1::ImportResponse response;
    while (stream->Read(&response)) {
      if (response.has_progress() && options_.on_progress) options_.on_progress(response.progress());
      MutexLock lock(&mu_);
      ++answered_;
      if (response.has_summary()) summary_ = response.summary();
      const v1::ImportProgress& progress = response.has_summary() ? response.summary().totals() : response.progress();
      committed_ = std::max(committed_, progress.committed_offset());
      progress_ = progress;
      progress_.clear_refused_lines();
      changed_.NotifyAll();
    }
    MutexLock lock(&mu_);
    answers_over_ = true;
    changed_.NotifyAll();
  }

  int64_t committed() {
    MutexLock lock(&mu_);
    return committed_;
  }
  bool ended() {
    MutexLock lock(&mu_);
    return answers_over_;
  }
  // Counts of a connection that broke.
  void KeepCounts() {
    MutexLock lock(&mu_);
    AddCounts(progress_, &earlier_);
    progress_.Clear();
  }
  v1::ImportSummary Total() {
    MutexLock lock(&mu_);
    AddCounts(earlier_, summary_->mutable_totals());
    summary_->set_skipped_byte_count(*resumed_at_);  // not what this very call got committed before a break
    return *summary_;
  }

  const std::unique_ptr<v1::TransferService::Stub> stub_;
  TokenSource& tokens_;
  TextSource& text_;
  const ImportTextOptions& options_;
  SentText sent_;
  absl::Status source_status_;

  Mutex mu_;
  CondVar changed_;
  bool answers_over_ PB_GUARDED_BY(mu_) = false;
  int64_t answered_ PB_GUARDED_BY(mu_) = 0;
  int64_t seen_answers_ PB_GUARDED_BY(mu_) = 0;
  int64_t committed_ PB_GUARDED_BY(mu_) = 0;
  std::optional<int64_t> resumed_at_ PB_GUARDED_BY(mu_);  // of the first connection
  v1::ImportProgress progress_ PB_GUARDED_BY(mu_);        // of this connection
  v1::ImportProgress earlier_ PB_GUARDED_BY(mu_);         // of those that broke
  std::optional<v1::ImportSummary> summary_ PB_GUARDED_BY(mu_);
};

}  // namespace

absl::Status FileTextSource::Read(size_t most, std::string* out) {
  out->resize(most);
  size_t got = 0;
  while (got < most) {
    const ssize_t n = ::read(fd_, out->data() + got, most - got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return absl::UnknownError(std::string("reading the text: ") + std::strerror(errno));
    if (n == 0) break;
    got += static_cast<size_t>(n);
  }
  out->resize(got);
  return absl::OkStatus();
}

absl::StatusOr<v1::ImportSummary> ImportText(const std::shared_ptr<grpc::Channel>& channel, TokenSource& tokens,
                                             TextSource& text, const ImportTextOptions& options) {
  return TextImport(channel, tokens, text, options).Run();
}

}  // namespace pulseboard::client
