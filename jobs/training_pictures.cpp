#include "jobs/training_pictures.h"

#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <stdexcept>
#include <string>

#include "jobs/value_or_throw.h"
#include "storage/hash.h"

namespace paddock::jobs {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kHashBytes = 64;

}  // namespace

data::Splits open_pictures(storage::Disk& disk, const TrainingPlan& plan, const std::filesystem::path& dir,
                           const model::Collective& ranks, ReportChannel& report) {
  data::SplitOptions options{.data = plan.data,
                             .data_test = plan.data_test,
                             .heldout_fraction = plan.heldout_fraction,
                             .needs_test = plan.run.heldout_every > 0 || !plan.data_test.empty(),
                             .or_else = "set run.heldout_every to 0"};
  options.source.index_dir = dir / "tar-index";
  options.source.part = static_cast<std::uint64_t>(ranks.rank());
  options.source.parts = static_cast<std::uint64_t>(ranks.ranks());
  auto reported = Clock::now();
  options.source.progress = [&](std::uint64_t done, std::uint64_t tars) {
    if (ranks.rank() != 0 || Clock::now() - reported < std::chrono::seconds(1)) return;
    reported = Clock::now();
    report.progress({{"phase", "index"}, {"step", done}, {"steps", tars}});
  };
  auto splits = value_or_throw(data::open_splits(disk, options), "opening the pictures");
  if (ranks.rank() == 0)
    for (const std::string& about : splits.about) std::cerr << about << '\n';
  return splits;
}

void compare_pictures(const storage::SampleSet& pictures, const std::string& where,
                      model::Collective& ranks) {
  auto hash = torch::zeros({kHashBytes}, torch::kUInt8);
  // By name: each node may have a copy of its own, made at another time.
  storage::Hasher names;
  for (std::uint64_t i = 0; i < pictures.size(); ++i) names.update(pictures.key(i) + '\n');
  const std::string text = names.hex();
  std::copy_n(text.begin(), std::min(kHashBytes, std::ssize(text)), hash.data_ptr<std::uint8_t>());
  const auto all = ranks.all_gather(hash);
  for (std::int64_t rank = 1; rank < ranks.ranks(); ++rank) {
    if (!all[rank].equal(all[0]))
      throw std::invalid_argument("rank " + std::to_string(rank) + " sees other pictures in " + where +
                                  " than rank 0: all nodes must have the same files there");
  }
}

}  // namespace paddock::jobs
