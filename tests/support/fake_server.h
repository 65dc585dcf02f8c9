// FakeServer: AuthService, IngestService and LiveService played by script, in this process, over a real socket.
// It keeps the contract where it matters to clients (cumulative acks, dedupe, resume tokens) and fails on demand.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "pulseboard/v1/auth.grpc.pb.h"
#include "pulseboard/v1/ingest.grpc.pb.h"
#include "pulseboard/v1/live.grpc.pb.h"
#include "tests/support/self_signed.h"

namespace pulseboard::testing {

// Which bearer tokens are good now. Thread-safe.
class FakeTokens {
 public:
  std::string Issue();
  void Revoke(const std::string& token);
  void RevokeAll();
  grpc::Status Check(const grpc::ServerContext& context) const;
  // With off, every call is let in.
  void Require(bool on);

 private:
  mutable Mutex mu_;
  bool required_ PB_GUARDED_BY(mu_) = false;
  int issued_ PB_GUARDED_BY(mu_) = 0;
  std::set<std::string> good_ PB_GUARDED_BY(mu_);
};

// User `ada`, password `correct horse`.
class FakeAuth final : public v1::AuthService::Service {
 public:
  explicit FakeAuth(FakeTokens& tokens) : tokens_(tokens) {}
  grpc::Status Login(grpc::ServerContext*, const v1::LoginRequest*, v1::LoginResponse*) override;
  grpc::Status RefreshSession(grpc::ServerContext*, const v1::RefreshSessionRequest*,
                              v1::RefreshSessionResponse*) override;
  grpc::Status Logout(grpc::ServerContext*, const v1::LogoutRequest*, v1::LogoutResponse*) override;

  void SetTokenLife(std::chrono::milliseconds life);
  void ForgetRefreshTokens();
  // The next so many refreshes get UNAVAILABLE.
  void FailRefreshes(int count);
  int logins() const;
  int refreshes() const;

 private:
  void Fill(v1::SessionTokens* tokens, v1::User* user) PB_REQUIRES(mu_);

  FakeTokens& tokens_;
  mutable Mutex mu_;
  std::chrono::milliseconds life_ PB_GUARDED_BY(mu_){900'000};
  std::set<std::string> refresh_tokens_ PB_GUARDED_BY(mu_);
  int issued_ PB_GUARDED_BY(mu_) = 0;
  int fail_refreshes_ PB_GUARDED_BY(mu_) = 0;
  int logins_ PB_GUARDED_BY(mu_) = 0;
  int refreshes_ PB_GUARDED_BY(mu_) = 0;
};

// Keeps every applied sample, through restarts of the server around it.
class FakeIngest final : public v1::IngestService::Service {
 public:
  struct Applied {
    std::string metric;
    int64_t time = 0;
    double value = 0;
    auto operator<=>(const Applied&) const = default;
  };
  using PushServerStream = grpc::ServerReaderWriter<v1::PushStreamResponse, v1::PushStreamRequest>;

  explicit FakeIngest(FakeTokens& tokens) : tokens_(tokens) {}
  grpc::Status PushStream(grpc::ServerContext* context, PushServerStream* stream) override;

  // Applies the next batch, then ends the stream with `status` instead of acknowledging it.
  void LoseNextAck(const grpc::Status& status);
  // Ends the next stream with `status` when it says its first word.
  void RefuseNextStream(const grpc::Status& status);
  // While on, batches are applied and acks held back.
  void HoldAcks(bool on);
  // Refuses samples of this metric with TOO_OLD.
  void RefuseMetric(const std::string& metric);
  // As if another process had used the producer up to this sequence.
  void SetPosition(const std::string& producer, int64_t sequence);
  void SetWindow(int32_t batches);

  std::vector<Applied> applied() const;
  int streams() const;
  int64_t duplicates() const;
  int64_t largest_backlog() const;  // batches received and not acknowledged while acks were held
  std::vector<std::string> producers() const;

 private:
  struct StreamState {
    std::map<uint32_t, std::string> metrics;
    std::string producer;
    int64_t last_sequence = 0;
  };
  grpc::Status Apply(const v1::PushStreamRequest& request, StreamState* state, v1::PushStreamResponse* ack)
      PB_REQUIRES(mu_);

  FakeTokens& tokens_;
  mutable Mutex mu_;
  std::vector<Applied> applied_ PB_GUARDED_BY(mu_);
  std::map<std::string, int64_t> positions_ PB_GUARDED_BY(mu_);
  std::optional<grpc::Status> lose_ack_ PB_GUARDED_BY(mu_);
  std::optional<grpc::Status> refuse_stream_ PB_GUARDED_BY(mu_);
  std::set<std::string> refused_metrics_ PB_GUARDED_BY(mu_);
  bool hold_acks_ PB_GUARDED_BY(mu_) = false;
  int32_t window_ PB_GUARDED_BY(mu_) = 8;
  int streams_ PB_GUARDED_BY(mu_) = 0;
  int64_t duplicates_ PB_GUARDED_BY(mu_) = 0;
  int64_t largest_backlog_ PB_GUARDED_BY(mu_) = 0;
};

// A log of values of one series `m`; each commit is one sample (time = value = commit). A resume token is the commit.
class FakeLive final : public v1::LiveService::Service {
 public:
  explicit FakeLive(FakeTokens& tokens) : tokens_(tokens) {}
  grpc::Status Subscribe(grpc::ServerContext* context, const v1::SubscribeRequest* request,
                         grpc::ServerWriter<v1::SubscribeResponse>* writer) override;
  // As Subscribe; updates are not read.
  grpc::Status Attach(grpc::ServerContext* context,
                      grpc::ServerReaderWriter<v1::SubscribeResponse, v1::AttachRequest>* stream) override;

  void Commit(int count);
  // Tokens of commits before this one are expired.
  void ExpireBefore(int64_t commit);
  // Ends all streams that are open now.
  void EndStreams(const grpc::Status& status);
  // Ends the next stream with `status` before it says anything, or after so many messages.
  void FailNextStream(const grpc::Status& status, int after_messages = 0);
  // Open streams fall silent and stay open.
  void Mute(bool on);
  void SetRefBase(uint32_t base);  // refs of later streams
  void SendUndefinedRefOnce();

  std::vector<std::string> tokens_seen() const;  // one per stream
  int open_streams() const;

 private:
  using Send = std::function<bool(const v1::SubscribeResponse&)>;
  grpc::Status Serve(grpc::ServerContext* context, const v1::SubscribeRequest* request, const Send& send);

  FakeTokens& tokens_;
  mutable Mutex mu_;
  int64_t commits_ PB_GUARDED_BY(mu_) = 0;
  int64_t oldest_ PB_GUARDED_BY(mu_) = 0;
  int end_generation_ PB_GUARDED_BY(mu_) = 0;
  grpc::Status end_status_ PB_GUARDED_BY(mu_);
  std::optional<std::pair<grpc::Status, int>> fail_next_ PB_GUARDED_BY(mu_);
  bool mute_ PB_GUARDED_BY(mu_) = false;
  bool undefined_ref_ PB_GUARDED_BY(mu_) = false;
  uint32_t ref_base_ PB_GUARDED_BY(mu_) = 1;
  std::vector<std::string> tokens_seen_ PB_GUARDED_BY(mu_);
  int open_streams_ PB_GUARDED_BY(mu_) = 0;
};

class FakeServer {
 public:
  FakeServer() = default;
  explicit FakeServer(KeyAndCertificate certificate) : certificate_(std::move(certificate)) {}
  ~FakeServer() { Stop(); }

  // On the same port as the last time, if there was one.
  void Start();
  void Stop();
  // For the next Start().
  void SetCertificate(std::optional<KeyAndCertificate> certificate) { certificate_ = std::move(certificate); }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  FakeTokens tokens;
  FakeAuth auth{tokens};
  FakeIngest ingest{tokens};
  FakeLive live{tokens};

 private:
  std::optional<KeyAndCertificate> certificate_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// A status as the server makes it, with ErrorInfo.
grpc::Status WireError(const std::string& reason);

}  // namespace pulseboard::testing
