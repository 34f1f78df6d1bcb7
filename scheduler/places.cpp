#include "scheduler/places.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <tuple>

#include "base/check.h"
#include "scheduler/cluster.h"

namespace paddock::scheduler {
namespace {

const std::string& rack_name(const Node& node) {
  static const std::string kNone;
  const auto found = node.offer.labels.find("rack");
  return found == node.offer.labels.end() ? kNone : found->second;
}

Room free_of(const Node& node) {
  return {node.free.cpus, node.free.memory_bytes, node.free.gpus.size(), node.free.ports.size()};
}

void count_free(std::vector<GpuKind>& kinds, const Node& node) {
  if (kinds.size() == 1) {
    kinds.front().free = node.free.gpus.size();
    return;
  }
  for (GpuKind& kind : kinds) kind.free = 0;
  for (const Gpu& gpu : node.offer.gpus) {
    if (!gpu.fault.empty() || !node.free.gpus.contains(gpu.uuid)) continue;
    const auto kind = std::ranges::find_if(kinds, [&](const GpuKind& each) {
      return each.model == gpu.model && each.memory_bytes == gpu.memory_bytes;
    });
    ++kind->free;
  }
}

std::vector<GpuKind> kinds_of(const Offer& offer) {
  std::vector<GpuKind> kinds;
  for (const Gpu& gpu : offer.gpus) {
    if (!gpu.fault.empty()) continue;
    auto kind = std::ranges::find_if(kinds, [&](const GpuKind& each) {
      return each.model == gpu.model && each.memory_bytes == gpu.memory_bytes;
    });
    if (kind == kinds.end()) kind = kinds.insert(kind, {gpu.model, gpu.memory_bytes, 0, 0});
    ++kind->well;
  }
  return kinds;
}

bool is_wanted_kind(const Request& request, const GpuKind& kind) {
  return kind.memory_bytes >= request.gpu_memory_bytes &&
         kind.model.find(request.gpu_model) != std::string::npos;
}

bool takes_any_gpu(const Request& request) {
  return request.gpu_model.empty() && request.gpu_memory_bytes == 0;
}

}  // namespace

Room wanted_part(const Request& request, const PlaceDetails& details, const Room& free) {
  if (takes_any_gpu(request)) return free;
  Room room = free;
  room.gpus = 0;
  for (const GpuKind& kind : details.kinds) room.gpus += is_wanted_kind(request, kind) ? kind.free : 0;
  return room;
}

Room wanted_when_empty(const Request& request, const PlaceDetails& details) {
  Room room = details.empty;
  if (takes_any_gpu(request)) return room;
  room.gpus = 0;
  for (const GpuKind& kind : details.kinds) room.gpus += is_wanted_kind(request, kind) ? kind.well : 0;
  return room;
}

void add_part(const Request& request, const PlaceDetails& details, const Part& part, Room& room,
              std::uint64_t rules) {
  room.cpus += part.room.cpus;
  room.memory_bytes += part.room.memory_bytes;
  room.ports += part.room.ports;
  if (takes_any_gpu(request) || details.kinds.size() == 1) {
    room.gpus = std::min(room.gpus + part.room.gpus, wanted_when_empty(request, details).gpus);
  } else if (rules >= 5) {
    for (std::size_t kind = 0; kind < part.gpus_by_kind.size(); ++kind)
      room.gpus += is_wanted_kind(request, details.kinds[kind]) ? part.gpus_by_kind[kind] : 0;
  }
}

std::optional<std::size_t> Places::find(const NodeId& name) const {
  if (guesses_.size() < 2 * details_.size()) guesses_.assign(std::bit_ceil(2 * details_.size()), 0);
  if (guesses_.empty()) return std::nullopt;
  std::uint32_t& guess = guesses_[std::hash<std::string>()(name.value) & (guesses_.size() - 1)];
  if (guess < details_.size() && details_[guess].name == name) return guess;
  const auto at = std::ranges::lower_bound(details_, name, {}, &PlaceDetails::name);
  if (at == details_.end() || at->name != name) return std::nullopt;
  guess = static_cast<std::uint32_t>(at - details_.begin());
  return guess;
}

std::size_t Places::insert(const NodeId& name) {
  const auto at = std::ranges::lower_bound(details_, name, {}, &PlaceDetails::name);
  const auto number = static_cast<std::size_t>(at - details_.begin());
  details_.insert(at, PlaceDetails{})->name = name;
  places_.insert(places_.begin() + static_cast<std::ptrdiff_t>(number), Place{})->rack = take_rack("");
  outlooks_.insert(outlooks_.begin() + static_cast<std::ptrdiff_t>(number), Outlook{});
  most_.resize((places_.size() + kPerBlock - 1) / kPerBlock);
  for (std::size_t block = number / kPerBlock; block < most_.size(); ++block) refresh_block(block);
  return number;
}

std::size_t Places::update(const Node& node) {
  const auto known = find(node.name);
  const std::size_t number = known ? *known : insert(node.name);
  Place& place = places_[number];
  PlaceDetails& details = details_[number];
  if (racks_[place.rack].first != rack_name(node)) {
    give_rack(place.rack);
    place.rack = take_rack(rack_name(node));
  }
  details.labels = node.offer.labels;
  details.kinds = kinds_of(node.offer);
  std::uint64_t well = 0;
  for (const GpuKind& kind : details.kinds) well += kind.well;
  details.empty = {node.offer.cpus, node.offer.memory_bytes, well, node.offer.ports.size()};
  place.takes_work = node.takes_work();
  place.free = free_of(node);
  count_free(details.kinds, node);
  refresh_block(number / kPerBlock);
  return number;
}

std::size_t Places::update_free(const Node& node) {
  const auto number = find(node.name);
  PADDOCK_CHECK(number.has_value(), node.name);
  places_[*number].free = free_of(node);
  count_free(details_[*number].kinds, node);
  refresh_block(*number / kPerBlock);
  return *number;
}

void Places::refresh_block(std::size_t block) {
  Room most;
  const std::size_t end = std::min(places_.size(), (block + 1) * kPerBlock);
  for (std::size_t number = block * kPerBlock; number < end; ++number) {
    const Place& place = places_[number];
    if (!place.takes_work) continue;
    most.cpus = std::max(most.cpus, place.free.cpus);
    most.memory_bytes = std::max(most.memory_bytes, place.free.memory_bytes);
    most.gpus = std::max(most.gpus, place.free.gpus);
    most.ports = std::max(most.ports, place.free.ports);
  }
  most_[block] = most;
}

void Places::refresh_outlook(std::size_t number) {
  Outlook outlook;
  for (const Part& part : details_[number].parts) {
    outlook.first_end = std::min(outlook.first_end, part.ends_at);
    outlook.least_loss = std::min(outlook.least_loss, loss_of(part));
  }
  outlooks_[number] = outlook;
}

std::uint32_t Places::take_rack(const std::string& name) {
  auto at = std::ranges::lower_bound(racks_, name, {}, &std::pair<std::string, std::uint64_t>::first);
  const auto number = static_cast<std::uint32_t>(at - racks_.begin());
  if (at == racks_.end() || at->first != name) {
    at = racks_.insert(at, {name, 0});
    renumber_racks(number, 1);
  }
  ++at->second;
  return number;
}

void Places::give_rack(std::uint32_t number) {
  if (--racks_[number].second > 0) return;
  racks_.erase(racks_.begin() + number);
  renumber_racks(number + 1, -1);
}

void Places::renumber_racks(std::uint32_t from, std::int32_t by) {
  for (Place& place : places_) {
    if (place.rack >= from)
      place.rack = static_cast<std::uint32_t>(static_cast<std::int64_t>(place.rack) + by);
  }
}

void Places::put_part(std::size_t number, const Part& part) {
  auto& parts = details_[number].parts;
  const auto sooner = [](const Part& a, const Part& b) {
    return std::tie(a.ends_at, a.fence) < std::tie(b.ends_at, b.fence);
  };
  parts.insert(std::ranges::upper_bound(parts, part, sooner), part);
  refresh_outlook(number);
}

void Places::replace_parts(std::size_t number, std::vector<Part> parts) {
  details_[number].parts.clear();
  refresh_outlook(number);
  for (const Part& part : parts) put_part(number, part);
}

void Places::drop_part(std::size_t number, Fence fence) {
  std::erase_if(details_[number].parts, [&](const Part& part) { return part.fence == fence; });
  refresh_outlook(number);
}

void Places::shrink_part(std::size_t number, const Part& by) {
  const auto part = std::ranges::find(details_[number].parts, by.fence, &Part::fence);
  if (part == details_[number].parts.end()) return;
  part->room.cpus -= by.room.cpus;
  part->room.memory_bytes -= by.room.memory_bytes;
  part->room.gpus -= by.room.gpus;
  for (std::size_t kind = 0; kind < part->gpus_by_kind.size(); ++kind)
    part->gpus_by_kind[kind] -= by.gpus_by_kind[kind];
}

void Places::redate_part(std::size_t number, Fence fence, Instant ends_at) {
  auto& parts = details_[number].parts;
  const auto found = std::ranges::find(parts, fence, &Part::fence);
  if (found == parts.end()) return;
  Part part = *found;
  parts.erase(found);
  part.ends_at = ends_at;
  part.priority = kNotPreemptible;
  put_part(number, part);
}

void Places::count(std::size_t number, const Usage& offered, bool is_racked) {
  details_[number].offered = offered;
  details_[number].is_racked = is_racked;
}

void Places::keep_none() {
  for (Place& place : places_) place.kept_for = -1;
}

}  // namespace paddock::scheduler
