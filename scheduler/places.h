// scheduler/places.h – the nodes as placement looks at them: a few numbers each, side by side in the order of their names,
// so that ten thousand are looked through in microseconds, and of each 64 the most that one of them has, so that a full
// cluster is seen to be full in one. Part of the index (index.h): made from the rest, kept in step with it. A place's
// number is the rank of its node's name and changes when a node with a new name joins. Threads: a value with one owner.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "scheduler/resources.h"
#include "scheduler/tenant.h"

namespace paddock::scheduler {

inline constexpr Instant kNever{std::numeric_limits<std::int64_t>::max()};
inline constexpr std::int64_t kNotPreemptible = std::numeric_limits<std::int64_t>::max();

// So many jobs at once have nodes kept for them: more would leave more idle, fewer let gangs wait one by one.
inline constexpr std::size_t kHoldsMax = 4;

// What a node gets back when its part of a live attempt ends.
struct Part {
  Instant ends_at = kNever;  // at the latest, its grace included
  Fence fence;
  std::int64_t priority = kNotPreemptible;  // of its graph, where it may be asked to make room
  Room room;
  std::vector<std::uint32_t> gpus_by_kind{};  // in the order of the node's kinds; empty where it has but one
  bool operator==(const Part&) const = default;
};

// Who makes room first: lower priority, then the newest, which has least to lose.
using Loss = std::pair<std::int64_t, std::int64_t>;  // priority, minus fence
inline constexpr Loss kNoLoss{std::numeric_limits<std::int64_t>::min(), 0};
inline constexpr Loss kMostLoss{kNotPreemptible, 0};
inline Loss loss_of(const Part& part) {
  return {part.priority, -static_cast<std::int64_t>(part.fence.value)};
}

// GPUs of a node that are alike.
struct GpuKind {
  std::string model;
  std::uint64_t memory_bytes = 0;
  std::uint64_t well = 0;
  std::uint64_t free = 0;
  bool operator==(const GpuKind&) const = default;
};

// What every search looks at.
struct Place {
  Room free;
  std::uint32_t rack = 0;      // its number in Places::racks()
  std::int32_t kept_for = -1;  // position in Cluster::holds; -1: for none
  bool takes_work = false;
  bool operator==(const Place&) const = default;
};

// What only those are asked for that have room.
struct PlaceDetails {
  NodeId name;
  Room empty;  // what it would have if nothing ran there
  Labels labels;
  std::vector<GpuKind> kinds;
  std::vector<Part> parts;  // by ends_at and fence
  Usage offered;            // counted in Index::total
  bool is_racked = false;   // counted in Index::racked
  bool operator==(const PlaceDetails&) const = default;
};

// Of the parts of a place, what a search asks first: whether it is worth looking at them.
struct Outlook {
  Instant first_end = kNever;  // of the part that ends soonest
  Loss least_loss = kMostLoss;
  bool operator==(const Outlook&) const = default;
};

struct Node;

class Places {
 public:
  static constexpr std::size_t kPerBlock = 64;

  std::size_t size() const { return places_.size(); }
  const Place& operator[](std::size_t number) const { return places_[number]; }
  const PlaceDetails& details(std::size_t number) const { return details_[number]; }
  const Outlook& outlook(std::size_t number) const { return outlooks_[number]; }
  const std::vector<std::pair<std::string, std::uint64_t>>& racks() const { return racks_; }
  // Nothing if no node of that name ever joined.
  std::optional<std::size_t> find(const NodeId& name) const;

  // False: no place of the block can take a part of the gang, if all GPUs were of the right kind.
  bool block_may_hold(std::size_t block, const Request& request) const { return most_[block].holds(request); }

  // Takes over what the node offers and has free. Its parts stay. The number of its place.
  std::size_t update(const Node& node);
  // Only what it has free.
  std::size_t update_free(const Node& node);

  void put_part(std::size_t number, const Part& part);
  // The part with that fence is another now, or gone.
  void replace_parts(std::size_t number, std::vector<Part> parts);
  void drop_part(std::size_t number, Fence fence);
  void shrink_part(std::size_t number, const Part& by);
  void redate_part(std::size_t number, Fence fence, Instant ends_at);
  void count(std::size_t number, const Usage& offered, bool is_racked);
  void keep(std::size_t number, std::int32_t hold) { places_[number].kept_for = hold; }
  void keep_none();

  bool operator==(const Places& other) const {
    return places_ == other.places_ && details_ == other.details_ && outlooks_ == other.outlooks_ &&
           most_ == other.most_ && racks_ == other.racks_;
  }

 private:
  std::size_t insert(const NodeId& name);
  void refresh_block(std::size_t block);
  void refresh_outlook(std::size_t number);
  std::uint32_t take_rack(const std::string& name);
  void give_rack(std::uint32_t number);
  void renumber_racks(std::uint32_t from, std::int32_t by);

  std::vector<Place> places_;
  std::vector<PlaceDetails> details_;                         // of the same numbers
  std::vector<Outlook> outlooks_;                             // likewise
  std::vector<Room> most_;                                    // by block, of places that take work
  std::vector<std::pair<std::string, std::uint64_t>> racks_;  // by name; how many nodes stand in each
  mutable std::vector<std::uint32_t> guesses_;                // by hash of the name: where it was found last
};

// What the place has for the request: of GPUs only those of the right kind. `free`: what it has of any kind.
Room wanted_part(const Request& request, const PlaceDetails& details, const Room& free);
// The same if nothing ran there.
Room wanted_when_empty(const Request& request, const PlaceDetails& details);
// What it has with one more part back, at least. Until rules 5 it was not known of which kind a part's GPUs are: where a node
// has several, none counted as wanted.
void add_part(const Request& request, const PlaceDetails& details, const Part& part, Room& room,
              std::uint64_t rules);

}  // namespace paddock::scheduler
