#include "coordinator/job_progress.h"

#include <nlohmann/json.hpp>

namespace paddock::coordinator {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kHealthBytesMax = 1'000;  // a sentence

Json object_of(const std::string& text) {
  Json json = Json::parse(text, nullptr, false);
  return json.is_object() ? json : Json::object();
}

std::string health_of(const Json& progress) {
  const auto health = progress.find("health");
  return health != progress.end() && health->is_string()
             ? health->get<std::string>().substr(0, kHealthBytesMax)
             : "";
}

}  // namespace

void JobProgress::take(Fence fence, std::uint32_t rank, const std::string& text) {
  if (fence_ != fence) *this = JobProgress();
  fence_ = fence;
  if (rank == 0) {
    own_ = text;
    return;
  }
  std::string health = health_of(object_of(text));
  if (health.empty() && rank != rank_) return;
  health_ = std::move(health);
  rank_ = rank;
}

std::string JobProgress::text(bool is_running) const {
  if (health_.empty() || !is_running) return own_;
  Json merged = object_of(own_);
  const std::string own = health_of(merged);
  merged["health"] = own.empty() || own == health_ ? health_ : own + "; " + health_;
  return merged.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace paddock::coordinator
