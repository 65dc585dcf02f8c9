#include "server/agent/agent.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/errors.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/client/channel.h"
#include "common/client/pin_store.h"
#include "common/client/pusher.h"
#include "common/client/session.h"
#include "server/agent/host_sampler.h"

namespace pulseboard {
namespace {

using client::PusherState;
using std::chrono::nanoseconds;

constexpr auto kLongestWait = std::chrono::seconds(10);
constexpr auto kExamineAfter = std::chrono::seconds(15);  // away for so long: is it still the same server?
constexpr auto kFlushTimeout = std::chrono::seconds(3);

int Complain(const absl::Status& status) {
  std::fprintf(stderr, "pulseboardd agent: %s\n", StatusMessage(status).c_str());
  return 1;
}

std::string HostName() {
  char name[256] = "";
  if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0') return "unknown";
  return name;
}

absl::StatusOr<std::string> ReadPassword(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    return absl::ErrnoToStatus(errno, "read password file " + path);
  }
  if ((info.st_mode & 077) != 0) {
    PB_LOG(Warning, "agent", "password file is open to others file={} mode={:o}", path, info.st_mode & 0777);
  }
  const std::optional<std::string> content = ReadSmallFile(path);
  if (!content) return absl::ErrnoToStatus(errno, "read password file " + path);
  std::string password = content->substr(0, content->find('\n'));
  if (!password.empty() && password.back() == '\r') password.pop_back();
  if (password.empty()) return absl::InvalidArgumentError("password file " + path + ": the first line is empty");
  return password;
}

// SIGTERM and SIGINT as something to wait for instead of something that interrupts.
class StopSignals {
 public:
  StopSignals() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGTERM);
    sigaddset(&signals_, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  }
  // True as soon as one came, false after `limit`.
  bool WaitFor(nanoseconds limit) const {
    const int64_t end = SystemClock().MonotonicNanos() + limit.count();
    for (;;) {
      const int64_t left = std::max<int64_t>(end - SystemClock().MonotonicNanos(), 0);
      const timespec time{left / kNanosPerSecond, left % kNanosPerSecond};
      if (sigtimedwait(&signals_, nullptr, &time) > 0) return true;
      if (errno == EAGAIN) return false;
    }
  }

 private:
  sigset_t signals_;
};

// Answers that waiting cannot mend.
bool IsFinal(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kUnimplemented:
      return true;
    default:
      return false;
  }
}

class Agent {
 public:
  Agent(AgentOptions options, client::PinStore pins)
      : options_(std::move(options)),
        pins_(std::move(pins)),
        sampler_({.host = options_.host, .proc_root = options_.proc_root, .sys_root = options_.sys_root}) {}

  int Run(const StopSignals& stop) {
    client::Backoff backoff({std::chrono::milliseconds(250), kLongestWait});
    for (absl::Status status; !(status = Connect()).ok();) {
      if (IsFinal(status)) return Complain(status);
      const auto wait = backoff.Next();
      PB_LOG(Warning, "agent", "cannot connect server={} error=\"{}\" retry_in_ms={}", options_.server,
             StatusMessage(status), wait.count());
      if (stop.WaitFor(wait)) return 0;
    }
    StartPusher();
    return Push(stop);
  }

 private:
  absl::Status Connect() {
    PB_ASSIGN_OR_RETURN(const client::ServerTrust trust, client::ExamineTrustingFirstUse(options_.server, pins_));
    trust_state_ = trust.state;
    if (trust.state == client::TrustState::kFirstVisit) {
      PB_LOG(Warning, "agent", "pinned certificate on first visit server={} fingerprint={}", options_.server,
             trust.certificate.fingerprint);
    }
    PB_ASSIGN_OR_RETURN(channel_, client::OpenChannel(options_.server, trust));
    client::SessionOptions session_options;
    session_options.login_again = [user = options_.user,
                                   file = options_.password_file]() -> absl::StatusOr<client::LoginCredentials> {
      PB_ASSIGN_OR_RETURN(std::string password, ReadPassword(file));
      return client::LoginCredentials{user, std::move(password), ""};
    };
    PB_ASSIGN_OR_RETURN(client::LoginCredentials credentials, session_options.login_again());
    session_ = std::make_shared<client::Session>(channel_, std::move(session_options));
    return WithContext(session_->LoginAndWait(std::move(credentials)), "log in as " + options_.user);
  }

  void StartPusher() {
    client::PusherOptions push_options;
    push_options.max_spool_samples = options_.max_spool_samples;
    if (options_.ack_mode == "fsynced") push_options.ack_mode = client::PushAckMode::kFsynced;
    if (options_.ack_mode == "buffered") push_options.ack_mode = client::PushAckMode::kBuffered;
    push_options.linger = std::chrono::milliseconds(20);  // a reading is pushed as one; nothing more to wait for
    push_options.on_state = [this](PusherState state, const absl::Status& status) { OnState(state, status); };
    push_options.on_refusal = [this](const client::PushRefusal& refusal) { OnRefusal(refusal); };
    pusher_ = std::make_unique<client::Pusher>(channel_, session_, std::move(push_options));
  }

  int Push(const StopSignals& stop) {
    const int64_t interval = options_.interval.count();
    int64_t next = SystemClock().MonotonicNanos();
    for (;;) {
      PushReading();
      if (const absl::Status trouble = Trouble(); !trouble.ok()) return Complain(trouble);
      // On a grid: a late reading does not shift those after it, a missed one is not caught up.
      const int64_t now = SystemClock().MonotonicNanos();
      next = std::max(next + interval, now - (now - next) % interval);
      if (stop.WaitFor(nanoseconds(std::max<int64_t>(next - now, 0)))) break;
    }
    const absl::Status flushed = pusher_->WaitUntilAcked(kFlushTimeout);
    const client::PusherStats stats = pusher_->stats();
    PB_LOG(Info, "agent", "stopped acked_samples={} lost_samples={}", stats.acked_samples,
           stats.dropped_samples + stats.spooled_samples);
    if (!flushed.ok()) PB_LOG(Warning, "agent", "left samples behind error=\"{}\"", StatusMessage(flushed));
    pusher_.reset();
    // A courtesy to the server's session table; it may be gone already.
    const absl::Status logged_out = session_->LogoutAndWait();
    if (!logged_out.ok()) PB_LOG(Info, "agent", "no log-out error=\"{}\"", StatusMessage(logged_out));
    return 0;
  }

  void PushReading() {
    const std::vector<Reading> readings = sampler_.Sample(SystemClock().MonotonicNanos());
    const int64_t time = SystemClock().NowUnixNanos();
    samples_.clear();
    for (const Reading& reading : readings) {
      const HostMetric& metric = *reading.metric;
      const absl::StatusOr<uint32_t> series =
          pusher_->Define({std::string(metric.name), reading.labels},
                          {metric.kind, std::string(metric.unit), std::string(metric.description)});
      if (series.ok()) samples_.push_back({*series, time, reading.value});
    }
    const absl::Status pushed = pusher_->Push(samples_);
    if (!pushed.ok()) PB_LOG(Error, "agent", "push refused error=\"{}\"", StatusMessage(pushed));
  }

  void OnState(PusherState state, const absl::Status& status) {
    {
      MutexLock lock(&mu_);
      state_ = state;
      state_status_ = status;
      if (state == PusherState::kConnected) away_since_ = 0;
      if (state == PusherState::kWaiting && away_since_ == 0) away_since_ = SystemClock().MonotonicNanos();
    }
    if (state == PusherState::kConnected) PB_LOG(Info, "agent", "pushing server={}", options_.server);
    if (state == PusherState::kWaiting) {
      PB_LOG(Warning, "agent", "server away server={} error=\"{}\"", options_.server, StatusMessage(status));
    }
  }

  void OnRefusal(const client::PushRefusal& refusal) {
    int64_t& count = refusals_[refusal.reason];
    // The first one, then powers of two: enough to notice, too few to fill a log.
    for (int64_t i = 0; i < refusal.count; ++i) {
      ++count;
      if ((count & (count - 1)) == 0) {
        PB_LOG(Warning, "agent", "sample refused reason={} message=\"{}\" count={}", refusal.reason, refusal.message,
               count);
      }
    }
  }

  // Something that waiting cannot mend: the account's, or the server is another one now.
  absl::Status Trouble() {
    {
      MutexLock lock(&mu_);
      if (state_ == PusherState::kFailed || state_status_.code() == absl::StatusCode::kPermissionDenied) {
        return WithContext(state_status_, "push as " + options_.user);
      }
      const bool away_long =
          away_since_ != 0 && SystemClock().MonotonicNanos() - away_since_ > nanoseconds(kExamineAfter).count();
      if (away_long && !examination_.valid()) {
        away_since_ = SystemClock().MonotonicNanos();
        examination_ = std::async(std::launch::async, [this] { return ExamineAgain(); });
      }
    }
    if (!examination_.valid() || examination_.wait_for(nanoseconds(0)) != std::future_status::ready) {
      return absl::OkStatus();
    }
    const absl::Status verdict = examination_.get();
    return IsFinal(verdict) ? verdict : absl::OkStatus();
  }

  // On a thread of its own: is what answers there now still what the channel was opened for?
  absl::Status ExamineAgain() {
    PB_ASSIGN_OR_RETURN(const client::ServerTrust now,
                        client::Examine(options_.server, pins_, std::chrono::seconds(2)));
    // A changed certificate is complained about in the same words as at the start.
    if (now.state == client::TrustState::kChanged) {
      return client::ExamineTrustingFirstUse(options_.server, pins_, std::chrono::seconds(2)).status();
    }
    const bool pinned_since =
        trust_state_ == client::TrustState::kFirstVisit && now.state == client::TrustState::kPinned;
    if (now.state == trust_state_ || pinned_since) return absl::OkStatus();
    return absl::FailedPreconditionError(
        "the server " + options_.server +
        " answers with another kind of TLS than when the agent started; start it again");
  }

  const AgentOptions options_;
  client::PinStore pins_;
  client::TrustState trust_state_ = client::TrustState::kPlaintext;
  HostSampler sampler_;
  std::vector<client::PushSample> samples_;
  std::shared_ptr<grpc::Channel> channel_;
  std::shared_ptr<client::Session> session_;

  Mutex mu_;
  PusherState state_ PB_GUARDED_BY(mu_) = PusherState::kConnecting;
  absl::Status state_status_ PB_GUARDED_BY(mu_);
  int64_t away_since_ PB_GUARDED_BY(mu_) = 0;  // monotonic; 0: not away
  std::map<std::string, int64_t> refusals_;    // by reason; only in the pusher's callbacks
  std::future<absl::Status> examination_;      // only on the thread of Run
  std::unique_ptr<client::Pusher> pusher_;     // last: its callbacks use what is above
};

absl::Status Validate(const AgentOptions& options) {
  PB_RETURN_IF_ERROR(client::SplitHostPort(options.server).status());
  if (options.user.empty()) return BadField("user", options.user, "the name of an account");
  if (options.interval < kMinAgentInterval || options.interval > kMaxAgentInterval) {
    return BadField("interval", std::to_string(options.interval.count()) + "ns", "100ms to 1h");
  }
  if (!options.ack_mode.empty() && options.ack_mode != "fsynced" && options.ack_mode != "buffered") {
    return BadField("ack_mode", options.ack_mode, "fsynced, buffered or nothing");
  }
  if (options.max_spool_samples < 10'000) {
    return BadField("max_spool_samples", std::to_string(options.max_spool_samples), "at least 10000");
  }
  return ReadPassword(options.password_file).status();
}

}  // namespace

int RunAgent(const AgentOptions& options) {
  const StopSignals stop;
  if (const absl::Status valid = Validate(options); !valid.ok()) return Complain(valid);
  AgentOptions filled = options;
  if (filled.host.empty()) filled.host = HostName();
  if (filled.pins_file.empty()) filled.pins_file = client::PinStore::DefaultPath();
  absl::StatusOr<client::PinStore> pins = client::PinStore::Open(filled.pins_file);
  if (!pins.ok()) return Complain(pins.status());
  Agent agent(std::move(filled), *std::move(pins));
  return agent.Run(stop);
}

}  // namespace pulseboard
