#include <cstdlib>
#include <iostream>

#include "common/base/clock.h"
#include "common/client/channel.h"
#include "common/client/pusher.h"
#include "common/client/session.h"

int main() {
  using namespace pulseboard;  // NOLINT(google-build-using-namespace): an example
  const char* server = std::getenv("PULSEBOARD_SERVER");
  auto channel = client::OpenChannel(server ? server : "127.0.0.1:7443", client::ServerTrust{}).value();
  auto session = std::make_shared<client::Session>(channel, client::SessionOptions{});
  absl::Status status = session->LoginAndWait({"admin", std::getenv("PULSEBOARD_PASSWORD"), ""});
  if (status.ok()) {
    client::Pusher pusher(channel, session, {});
    const uint32_t series = pusher.Define({"demo.temperature", {{"room", "kitchen"}}}, {}).value();
    status.Update(pusher.Push(series, SystemClock().NowUnixNanos(), 21.5));
    status.Update(pusher.WaitUntilAcked(std::chrono::seconds(10)));
  }
  std::cout << status << "\n";
  return status.ok() ? 0 : 1;
}
