// jobs/curate/provenance.h – what became of every path of the pool, and why: one JSON line each, in path
// order.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace paddock::curate {

// Where a path's way ended. The names in provenance.jsonl and in the funnel are those of name_of().
enum class Stage {
  kUndecided,
  kRefused,        // could not be read or decoded, or breaks a limit
  kSameBytes,      // another path has the same bytes
  kSamePixels,     // another file decodes to the same pixels
  kNearDuplicate,  // another picture looks the same and is larger
  kHeldOut,        // kept: test split
  kLeak,           // too similar to a test picture, or in a group with one that is
  kNotSelected,    // outside what seeds and clusters asked for
  kAll,            // kept: nothing was asked for in particular
  kSeed,           // kept: in a seed folder
  kNeighbour,      // kept: near a seed picture
  kCluster,        // kept: drawn from a cluster
};
std::string_view name_of(Stage stage);
bool is_kept(Stage stage);

struct Fate {
  std::string path;
  Stage stage = Stage::kUndecided;
  std::string reason;                // refused: what is wrong; otherwise empty
  std::string partner;               // the path it lost against, leaked to or was chosen for
  std::optional<double> similarity;  // to the partner; with a cluster's centre for kCluster
  std::string label;                 // empty: none
  std::string content;               // hash of its bytes; empty when unreadable
};

// One line, without the newline. Keys: path, fate (train, test, dropped), stage, reason, partner, similarity,
// label, content.
std::string json_line(const Fate& fate);

struct FunnelStep {
  std::string stage;
  std::size_t dropped = 0;
  std::size_t left = 0;  // of the paths listed
};

// The way from the paths listed to the pictures kept, in stage order.
std::vector<FunnelStep> funnel_of(const std::vector<Fate>& fates);

}  // namespace paddock::curate
