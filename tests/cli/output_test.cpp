#include "cli/output.h"

#include <gtest/gtest.h>

#include "cli/live_view.h"

namespace paddock::cli {
namespace {

TEST(Output, TablesAlignTheirColumns) {
  EXPECT_EQ(table({"A", "LONG", "C"}, {{"x", "y", "z"}, {"größer", "1", ""}}),
            "A       LONG  C\n"
            "x       y     z\n"
            "größer  1\n");
}

TEST(Output, TextIsCutBetweenCharacters) {
  EXPECT_EQ(cut("größer", 10), "größer");
  EXPECT_EQ(cut("größer", 4), "grö…");
  EXPECT_EQ(cut("abc", 0), "");
  EXPECT_EQ(plain("a\x1b[2Jb\n"), "a [2Jb ");
}

TEST(Output, AmountsReadWell) {
  EXPECT_EQ(show_bytes(512), "512 B");
  EXPECT_EQ(show_bytes(3ull << 29), "1.5 GiB");
  EXPECT_EQ(show_seconds(45), "45s");
  EXPECT_EQ(show_seconds(200), "3m 20s");
  EXPECT_EQ(show_seconds(7500), "2h 5m");
  EXPECT_EQ(show_seconds(-1), "");
}

TEST(Progress, ShowsWhatARankReports) {
  EXPECT_EQ(progress_text({{"phase", "train"},
                           {"step", 120},
                           {"steps", 600},
                           {"loss", 8.912345},
                           {"rate", 143.2},
                           {"unit", "images/s"},
                           {"seconds_left", 240}}),
            "train 120/600  loss 8.912  143.2 images/s  4m 0s left");
  EXPECT_EQ(progress_text({{"phase", "train"}, {"loss", 2.5}, {"loss_of", "mean of 2 students"}}),
            "train  loss 2.5 (mean of 2 students)");
  EXPECT_EQ(progress_text({{"phase", "train"}, {"quarantined", 3}, {"health", "slow rank 2"}}),
            "train  3 pictures put aside  slow rank 2");
  EXPECT_EQ(progress_text(Json()), "");
}

TEST(Progress, AGraphIsATable) {
  const Json job{{"job", "pretrain"},        {"state", "running"},       {"attempt", 2},
                 {"nodes", {"a", "a", "b"}}, {"cached", false},          {"reason", ""},
                 {"started_unix_ms", 1000},  {"ended_unix_ms", nullptr}, {"progress", {{"step", 3}}}};
  EXPECT_EQ(
      graph_text(
          {{"graph", 7}, {"name", "g"}, {"state", "active"}, {"counts", {{"running", 1}}}, {"jobs", {job}}}),
      "graph 7 g: active\n"
      "JOB       STATE       NODES  TOOK\n"
      "pretrain  running #2  a,b          3\n");
}

}  // namespace
}  // namespace paddock::cli
