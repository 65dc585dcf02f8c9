#include "common/base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>

#include <memory>
#include <string>

namespace pulseboard {

void InitLogging(std::string_view level) {
  auto logger = std::make_shared<spdlog::logger>("pulseboard", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  const auto parsed = spdlog::level::from_str(std::string(level));
  logger->set_level(parsed == spdlog::level::off ? spdlog::level::info : parsed);
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %^%l%$ %v");
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace pulseboard
