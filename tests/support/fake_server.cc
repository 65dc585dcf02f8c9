#include "tests/support/fake_server.h"

#include <algorithm>
#include <thread>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/wire/status.h"

namespace pulseboard::testing {
namespace {

constexpr auto kTick = std::chrono::milliseconds(2);

void SetTime(google::protobuf::Timestamp* out, int64_t unix_nanos) {
  out->set_seconds(unix_nanos / kNanosPerSecond);
  out->set_nanos(static_cast<int32_t>(unix_nanos % kNanosPerSecond));
}

}  // namespace

grpc::Status WireError(const std::string& reason) {
  for (const ErrorReasonInfo& info : AllErrorReasons()) {
    if (info.name == reason) return ToGrpcStatus(MakeError(info.reason, "as the test wants"));
  }
  return {grpc::StatusCode::INTERNAL, "no reason " + reason};
}

std::string FakeTokens::Issue() {
  MutexLock lock(&mu_);
  return *good_.insert("access-" + std::to_string(++issued_)).first;
}
void FakeTokens::Revoke(const std::string& token) {
  MutexLock lock(&mu_);
  good_.erase(token);
}
void FakeTokens::RevokeAll() {
  MutexLock lock(&mu_);
  good_.clear();
}
void FakeTokens::Require(bool on) {
  MutexLock lock(&mu_);
  required_ = on;
}
grpc::Status FakeTokens::Check(const grpc::ServerContext& context) const {
  MutexLock lock(&mu_);
  if (!required_) return grpc::Status::OK;
  const auto it = context.client_metadata().find("authorization");
  const std::string bearer =
      it == context.client_metadata().end() ? "" : std::string(it->second.data(), it->second.size());
  if (bearer.starts_with("Bearer ") && good_.contains(bearer.substr(7))) return grpc::Status::OK;
  return WireError("TOKEN_EXPIRED");
}

void FakeAuth::Fill(v1::SessionTokens* tokens, v1::User* user) {
  const int64_t now = SystemClock().NowUnixNanos();
  tokens->set_access_token(tokens_.Issue());
  SetTime(tokens->mutable_access_expire_time(), now + std::chrono::nanoseconds(life_).count());
  tokens->set_refresh_token(*refresh_tokens_.insert("refresh-" + std::to_string(++issued_)).first);
  SetTime(tokens->mutable_refresh_expire_time(), now + kNanosPerDay);
  user->set_user_id("u1");
  user->set_user_name("ada");
  user->set_role(v1::ROLE_EDITOR);
}

grpc::Status FakeAuth::Login(grpc::ServerContext*, const v1::LoginRequest* request, v1::LoginResponse* response) {
  MutexLock lock(&mu_);
  ++logins_;
  if (request->login() != "ada" || request->password() != "correct horse") return WireError("BAD_CREDENTIALS");
  Fill(response->mutable_tokens(), response->mutable_user());
  return grpc::Status::OK;
}

grpc::Status FakeAuth::RefreshSession(grpc::ServerContext*, const v1::RefreshSessionRequest* request,
                                      v1::RefreshSessionResponse* response) {
  MutexLock lock(&mu_);
  ++refreshes_;
  if (fail_refreshes_ > 0) {
    --fail_refreshes_;
    return {grpc::StatusCode::UNAVAILABLE, "as the test wants"};
  }
  if (refresh_tokens_.erase(request->refresh_token()) == 0) return WireError("TOKEN_INVALID");
  Fill(response->mutable_tokens(), response->mutable_user());
  return grpc::Status::OK;
}

grpc::Status FakeAuth::Logout(grpc::ServerContext* context, const v1::LogoutRequest*, v1::LogoutResponse*) {
  const auto it = context->client_metadata().find("authorization");
  if (it == context->client_metadata().end()) return WireError("TOKEN_INVALID");
  tokens_.Revoke(std::string(it->second.data(), it->second.size()).substr(7));
  return grpc::Status::OK;
}

void FakeAuth::SetTokenLife(std::chrono::milliseconds life) {
  MutexLock lock(&mu_);
  life_ = life;
}
void FakeAuth::ForgetRefreshTokens() {
  MutexLock lock(&mu_);
  refresh_tokens_.clear();
}
void FakeAuth::FailRefreshes(int count) {
  MutexLock lock(&mu_);
  fail_refreshes_ = count;
}
int FakeAuth::logins() const {
  MutexLock lock(&mu_);
  return logins_;
}
int FakeAuth::refreshes() const {
  MutexLock lock(&mu_);
  return refreshes_;
}

grpc::Status FakeIngest::Apply(const v1::PushStreamRequest& request, StreamState* state, v1::PushStreamResponse* ack) {
  if (state->producer.empty()) state->producer = request.producer_id();
  if (state->producer.empty() || request.sequence() <= state->last_sequence) return WireError("BAD_SEQUENCE");
  if (request.refs_size() != request.values_size() || request.refs_size() != request.time_offsets_nanos_size()) {
    return WireError("BAD_FIELD");
  }
  state->last_sequence = request.sequence();
  for (const auto& definition : request.definitions()) state->metrics[definition.ref()] = definition.metric();
  int64_t& position = positions_[state->producer];
  if (request.sequence() <= position) {
    ++duplicates_;
    ack->set_duplicate_batch_count(ack->duplicate_batch_count() + 1);
  } else {
    position = request.sequence();
    for (int i = 0; i < request.refs_size(); ++i) {
      const std::string& metric = state->metrics[request.refs(i)];
      if (metric.empty()) return WireError("BAD_FIELD");
      if (refused_metrics_.contains(metric)) {
        auto* refusal = ack->add_refusals();
        refusal->set_sample_index(i);
        refusal->set_reason(v1::REFUSAL_REASON_TOO_OLD);
        refusal->set_message(metric + " is too old");
        if (ack->refusal_counts_size() == 0) ack->add_refusal_counts()->set_reason(v1::REFUSAL_REASON_TOO_OLD);
        ack->mutable_refusal_counts(0)->set_count(ack->refusal_counts(0).count() + 1);
        continue;
      }
      // Unsigned: a test may push the ends of time.
      const auto time =
          static_cast<uint64_t>(request.base_time_unix_nanos()) + static_cast<uint64_t>(request.time_offsets_nanos(i));
      applied_.push_back({metric, static_cast<int64_t>(time), request.values(i)});
    }
  }
  ack->set_acked_sequence(position);
  return grpc::Status::OK;
}

grpc::Status FakeIngest::PushStream(grpc::ServerContext* context, PushServerStream* stream) {
  if (const grpc::Status good = tokens_.Check(*context); !good.ok()) return good;
  StreamState state;
  v1::PushStreamRequest request;
  bool first = true;
  v1::PushStreamResponse ack;
  int64_t backlog = 0;
  {
    MutexLock lock(&mu_);
    ++streams_;
  }
  while (stream->Read(&request)) {
    if (const grpc::Status good = tokens_.Check(*context); !good.ok()) return good;
    bool hold = false;
    v1::PushStreamResponse hello;
    {
      MutexLock lock(&mu_);
      if (refuse_stream_) return *std::exchange(refuse_stream_, std::nullopt);
      if (first) {  // later messages may leave the producer out
        hello.set_acked_sequence(positions_[request.producer_id()]);
        hello.set_max_unacked_batches(window_);
      }
    }
    if (std::exchange(first, false)) stream->Write(hello);
    {
      MutexLock lock(&mu_);
      ack.set_max_unacked_batches(window_);
      if (const grpc::Status bad = Apply(request, &state, &ack); !bad.ok()) return bad;
      if (lose_ack_) return *std::exchange(lose_ack_, std::nullopt);
      largest_backlog_ = std::max(largest_backlog_, ++backlog);
      hold = hold_acks_;
    }
    // While held, go on reading as long as more comes: a sender that ignores the window would be seen.
    if (hold) continue;
    if (!stream->Write(ack)) break;
    ack.Clear();
    backlog = 0;
  }
  return grpc::Status::OK;
}

void FakeIngest::LoseNextAck(const grpc::Status& status) {
  MutexLock lock(&mu_);
  lose_ack_ = status;
}
void FakeIngest::RefuseNextStream(const grpc::Status& status) {
  MutexLock lock(&mu_);
  refuse_stream_ = status;
}
void FakeIngest::HoldAcks(bool on) {
  MutexLock lock(&mu_);
  hold_acks_ = on;
}
void FakeIngest::RefuseMetric(const std::string& metric) {
  MutexLock lock(&mu_);
  refused_metrics_.insert(metric);
}
void FakeIngest::SetPosition(const std::string& producer, int64_t sequence) {
  MutexLock lock(&mu_);
  positions_[producer] = sequence;
}
void FakeIngest::SetWindow(int32_t batches) {
  MutexLock lock(&mu_);
  window_ = batches;
}
std::vector<FakeIngest::Applied> FakeIngest::applied() const {
  MutexLock lock(&mu_);
  return applied_;
}
int FakeIngest::streams() const {
  MutexLock lock(&mu_);
  return streams_;
}
int64_t FakeIngest::duplicates() const {
  MutexLock lock(&mu_);
  return duplicates_;
}
int64_t FakeIngest::largest_backlog() const {
  MutexLock lock(&mu_);
  return largest_backlog_;
}
std::vector<std::string> FakeIngest::producers() const {
  MutexLock lock(&mu_);
  std::vector<std::string> names;
  for (const auto& [name, position] : positions_) names.push_back(name);
  return names;
}

grpc::Status FakeLive::Subscribe(grpc::ServerContext* context, const v1::SubscribeRequest* request,
                                 grpc::ServerWriter<v1::SubscribeResponse>* writer) {
  return Serve(context, request, [writer](const v1::SubscribeResponse& response) { return writer->Write(response); });
}

grpc::Status FakeLive::Attach(grpc::ServerContext* context,
                              grpc::ServerReaderWriter<v1::SubscribeResponse, v1::AttachRequest>* stream) {
  v1::AttachRequest first;
  if (!stream->Read(&first)) return WireError("BAD_FIELD");
  return Serve(context, &first.subscribe(),
               [stream](const v1::SubscribeResponse& response) { return stream->Write(response); });
}

grpc::Status FakeLive::Serve(grpc::ServerContext* context, const v1::SubscribeRequest* request, const Send& send) {
  if (const grpc::Status good = tokens_.Check(*context); !good.ok()) return good;
  struct Count {
    explicit Count(FakeLive* live_in) : live(live_in) {
      MutexLock lock(&live->mu_);
      ++live->open_streams_;
    }
    ~Count() {
      MutexLock lock(&live->mu_);
      --live->open_streams_;
    }
    FakeLive* live;
  } count(this);

  int generation = 0, written = 0;
  int64_t sent = 0;
  uint32_t ref = 0;
  bool bad_ref = false;
  std::optional<std::pair<grpc::Status, int>> failure;
  {
    MutexLock lock(&mu_);
    tokens_seen_.push_back(request->resume_token());
    generation = end_generation_;
    failure = std::exchange(fail_next_, std::nullopt);
    ref = ref_base_;
    bad_ref = std::exchange(undefined_ref_, false);
    if (!request->resume_token().empty()) {
      sent = std::stoll(request->resume_token());
      if (sent < oldest_) return WireError("RESUME_TOKEN_EXPIRED");
    }
  }
  const auto write = [&](const v1::SubscribeResponse& response) {
    if (failure && written++ >= failure->second) return false;
    return send(response);
  };
  const auto fill = [&](v1::SampleFrame* frame, int64_t from, int64_t to) {
    auto* columns = frame->add_columns();
    columns->set_ref(bad_ref ? ref + 1 : ref);
    columns->set_first_time_unix_nanos(from);
    for (int64_t i = from; i <= to; ++i) {
      columns->add_time_deltas_nanos(i == from ? 0 : 1);
      columns->add_values(static_cast<double>(i));
    }
  };

  v1::SubscribeResponse response;
  auto* definition = response.mutable_definitions()->add_definitions();
  definition->set_ref(ref);
  definition->mutable_series()->set_series_id(77);
  definition->mutable_series()->set_metric("m");
  definition->add_query_ids("q");
  bool open = write(response);
  if (open && request->resume_token().empty()) {
    int64_t until = 0;
    {
      MutexLock lock(&mu_);
      until = commits_;
    }
    response.Clear();
    if (until > 0) {
      fill(response.mutable_backfill(), 1, until);
      open = write(response);
    }
    response.Clear();
    response.mutable_backfill_done()->set_commit_sequence(until);
    response.set_resume_token(std::to_string(until));
    open = open && write(response);
    sent = until;
  }
  while (open && !context->IsCancelled()) {
    int64_t until = 0;
    bool mute = false;
    {
      MutexLock lock(&mu_);
      if (generation != end_generation_) return end_status_;
      until = commits_;
      mute = mute_;
    }
    if (!mute && until > sent) {
      response.Clear();
      fill(response.mutable_samples(), sent + 1, until);
      response.mutable_times()->set_pushed_unix_nanos(SystemClock().NowUnixNanos());
      response.set_resume_token(std::to_string(until));
      open = write(response);
      sent = until;
    } else {
      std::this_thread::sleep_for(kTick);  // the pace of this server, not a synchronisation
    }
  }
  return failure ? failure->first : grpc::Status::OK;
}

void FakeLive::Commit(int count) {
  MutexLock lock(&mu_);
  commits_ += count;
}
void FakeLive::ExpireBefore(int64_t commit) {
  MutexLock lock(&mu_);
  oldest_ = commit;
}
void FakeLive::EndStreams(const grpc::Status& status) {
  MutexLock lock(&mu_);
  end_status_ = status;
  ++end_generation_;
}
void FakeLive::FailNextStream(const grpc::Status& status, int after_messages) {
  MutexLock lock(&mu_);
  fail_next_ = {status, after_messages};
}
void FakeLive::Mute(bool on) {
  MutexLock lock(&mu_);
  mute_ = on;
}
void FakeLive::SetRefBase(uint32_t base) {
  MutexLock lock(&mu_);
  ref_base_ = base;
}
void FakeLive::SendUndefinedRefOnce() {
  MutexLock lock(&mu_);
  undefined_ref_ = true;
}
std::vector<std::string> FakeLive::tokens_seen() const {
  MutexLock lock(&mu_);
  return tokens_seen_;
}
int FakeLive::open_streams() const {
  MutexLock lock(&mu_);
  return open_streams_;
}

void FakeServer::Start() {
  grpc::ServerBuilder builder;
  std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
  if (certificate_) {
    grpc::SslServerCredentialsOptions ssl;
    ssl.pem_key_cert_pairs.push_back({certificate_->key_pem, certificate_->certificate_pem});
    credentials = grpc::SslServerCredentials(ssl);
  }
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddListeningPort(address(), credentials, &port_);
  builder.RegisterService(&auth);
  builder.RegisterService(&ingest);
  builder.RegisterService(&live);
  server_ = builder.BuildAndStart();
}

void FakeServer::Stop() {
  if (server_ == nullptr) return;
  server_->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(50));
  server_->Wait();
  server_.reset();
}

}  // namespace pulseboard::testing
