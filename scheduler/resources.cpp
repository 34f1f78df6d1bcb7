#include "scheduler/resources.h"

#include <algorithm>

namespace paddock::scheduler {
namespace {

bool has(const Labels& labels, const std::string& name, const std::string& value) {
  const auto found = labels.find(name);
  return found != labels.end() && (value.empty() || found->second == value);
}

bool takes_any_gpu(const Request& request) {
  return request.gpu_model.empty() && request.gpu_memory_bytes == 0;
}

}  // namespace

bool is_wanted(const Request& request, const Gpu& gpu) {
  return gpu.fault.empty() && gpu.memory_bytes >= request.gpu_memory_bytes &&
         gpu.model.find(request.gpu_model) != std::string::npos;
}

Room room_now(const Request& request, const Offer& offer, const Free& free) {
  Room room{free.cpus, free.memory_bytes, free.gpus.size(), free.ports.size()};
  if (takes_any_gpu(request)) return room;
  room.gpus = static_cast<std::uint64_t>(std::ranges::count_if(
      offer.gpus, [&](const Gpu& gpu) { return is_wanted(request, gpu) && free.gpus.contains(gpu.uuid); }));
  return room;
}

Room room_when_empty(const Request& request, const Offer& offer) {
  Room room{offer.cpus, offer.memory_bytes, 0, offer.ports.size()};
  room.gpus = static_cast<std::uint64_t>(
      std::ranges::count_if(offer.gpus, [&](const Gpu& gpu) { return is_wanted(request, gpu); }));
  return room;
}

bool has_labels(const Request& request, const Labels& labels) {
  const auto has_it = [&](const auto& label) { return has(labels, label.first, label.second); };
  return std::ranges::all_of(request.labels, has_it) && std::ranges::none_of(request.avoid, has_it);
}

}  // namespace paddock::scheduler
