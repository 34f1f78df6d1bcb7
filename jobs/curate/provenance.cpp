#include "jobs/curate/provenance.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/check.h"

namespace paddock::curate {

std::string_view name_of(Stage stage) {
  switch (stage) {
    case Stage::kUndecided:
      return "undecided";
    case Stage::kRefused:
      return "refused";
    case Stage::kSameBytes:
      return "same_bytes";
    case Stage::kSamePixels:
      return "same_pixels";
    case Stage::kNearDuplicate:
      return "near_duplicate";
    case Stage::kHeldOut:
      return "held_out";
    case Stage::kLeak:
      return "leak";
    case Stage::kNotSelected:
      return "not_selected";
    case Stage::kAll:
      return "all";
    case Stage::kSeed:
      return "seed";
    case Stage::kNeighbour:
      return "neighbour";
    case Stage::kCluster:
      return "cluster";
  }
  return "undecided";
}

bool is_kept(Stage stage) {
  return stage == Stage::kHeldOut || stage == Stage::kAll || stage == Stage::kSeed ||
         stage == Stage::kNeighbour || stage == Stage::kCluster;
}

std::string json_line(const Fate& fate) {
  PADDOCK_REQUIRE(fate.stage != Stage::kUndecided, fate.path);
  nlohmann::ordered_json line;
  line["path"] = fate.path;
  line["fate"] = !is_kept(fate.stage) ? "dropped" : fate.stage == Stage::kHeldOut ? "test" : "train";
  line["stage"] = name_of(fate.stage);
  if (!fate.reason.empty()) line["reason"] = fate.reason;
  if (!fate.partner.empty()) line["partner"] = fate.partner;
  // Four digits: what fixed point resolves.
  if (fate.similarity) line["similarity"] = std::round(*fate.similarity * 1e4) / 1e4;
  if (!fate.label.empty()) line["label"] = fate.label;
  if (!fate.content.empty()) line["content"] = fate.content;
  // A path need not be UTF-8; what is not becomes U+FFFD rather than stopping the stage.
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::vector<FunnelStep> funnel_of(const std::vector<Fate>& fates) {
  std::vector<FunnelStep> steps = {{"listed", 0, fates.size()}};
  for (const Stage stage : {Stage::kRefused, Stage::kSameBytes, Stage::kSamePixels, Stage::kNearDuplicate,
                            Stage::kLeak, Stage::kNotSelected}) {
    FunnelStep step{std::string(name_of(stage)), 0, steps.back().left};
    for (const Fate& fate : fates) step.dropped += fate.stage == stage;
    step.left -= step.dropped;
    steps.push_back(std::move(step));
  }
  return steps;
}

}  // namespace paddock::curate
