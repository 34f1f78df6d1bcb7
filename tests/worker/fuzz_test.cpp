// What ranks say and what a guard is told: any bytes are understood or refused.
#include <gtest/gtest.h>

#include "base/limits.h"
#include "tests/fuzz.h"
#include "worker/guard_launch.h"
#include "worker/report_pipe.h"

namespace paddock::worker {
namespace {

TEST(WorkerFuzz, LinesOfRanksAreReportsOrNone) {
  const std::string lines[] = {R"({"progress": {"step": 7, "loss": 1.5}})",
                               R"({"checkpoint": {"step": 7, "path": "/store/c", "hash": "h", "bytes": 9}})",
                               R"({"artifact": {"name": "made", "path": "/made", "hash": "h"}})",
                               R"({"failure": {"message": "no"}})"};
  std::uint64_t understood = 0;
  for (Rounds rounds(60'000); rounds.next();) {
    Draws draws = rounds.draws();
    const auto saying = parse_report_line(edited(lines[draws.below(4)], draws, json_scraps()));
    static_cast<void>(parse_report_line(random_text(draws, 100)));
    if (!saying) continue;
    ++understood;
    const auto* const artifact = std::get_if<Artifact>(&*saying);
    ASSERT_TRUE(artifact == nullptr ||
                (!artifact->name.empty() && artifact->name.size() <= limits::kNameBytesMax));
  }
  EXPECT_GT(understood, 1'000u);
}

TEST(WorkerFuzz, LaunchesAreWholeOrRefused) {
  const RankUser user{"ada", 1'000, 1'000, {1'000, 27}, "/home/ada"};
  const std::string good = to_bytes(
      GuardLaunch{"/log", "/job", {"/cgroup/a"}, 77, {"sh", "-c", "true"}, {"A=1", "PATH=/bin"}, user, true});
  std::uint64_t accepted = 0;
  for (Rounds rounds(60'000); rounds.next();) {
    Draws draws = rounds.draws();
    const auto launch = to_launch(edited(good, draws, {}));
    static_cast<void>(to_launch(random_text(draws, 100)));
    if (!launch) continue;
    ++accepted;
    ASSERT_FALSE(launch->command.empty());
    ASSERT_EQ(to_launch(to_bytes(*launch)), launch);
  }
  EXPECT_GT(accepted, 1'000u);
}

}  // namespace
}  // namespace paddock::worker
