#include "scheduler/failure.h"

#include <algorithm>

namespace paddock::scheduler {
namespace {

// docs/rank-protocol.md
constexpr std::int32_t kExitOptionsWrong = 2;

}  // namespace

std::vector<std::string> classes_of(const RankEnded& ended) {
  if (ended.is_out_of_memory) return {"out_of_memory"};
  if (ended.signal != 0 || ended.exit_code < 0) return {"signal"};
  return {"exit:" + std::to_string(ended.exit_code), "exit"};
}

bool may_retry_after(const RetryRule& rule, const RankEnded& ended) {
  if (ended.signal == 0 && ended.exit_code == kExitOptionsWrong) return false;
  return std::ranges::none_of(classes_of(ended),
                              [&](const std::string& each) { return rule.not_on.contains(each); });
}

bool is_failure_class(const std::string& text) {
  if (text == "time_limit" || text == "out_of_memory" || text == "signal" || text == "exit") return true;
  const std::string number = text.starts_with("exit:") ? text.substr(5) : "";
  return !number.empty() && number.size() <= 3 &&
         number.find_first_not_of("0123456789") == std::string::npos && std::stoi(number) >= 1 &&
         std::stoi(number) <= 255;
}

}  // namespace paddock::scheduler
