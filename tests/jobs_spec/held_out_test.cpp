#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "jobs/spec/job_kinds.h"

namespace paddock::spec {
namespace {

using testing::HasSubstr;

// Problems of a training job's options, each as "path: message".
std::vector<std::string> problems_of(const std::string& kind, Json with) {
  with["data"] = "/pictures";
  if (kind == "distill") with["teacher"] = "/run/checkpoint";
  if (kind == "adapt") with["from"] = "/run/checkpoint";
  const auto resolved = find_job_kind(kind)->resolve(with);
  std::vector<std::string> problems;
  if (!resolved)
    for (const Problem& problem : resolved.error()) problems.push_back(problem.path + ": " + problem.message);
  return problems;
}

TEST(HeldOutOptions, AreSaidInOneWayByEveryKindOfTraining) {
  for (const char* kind : {"pretrain", "adapt", "distill"}) {
    EXPECT_TRUE(problems_of(kind, {{"data_test", "/others"}}).empty()) << kind;
    EXPECT_TRUE(problems_of(kind, {{"heldout_fraction", .05}}).empty()) << kind;
    const auto both = problems_of(kind, {{"data_test", "/others"}, {"heldout_fraction", .05}});
    ASSERT_EQ(both.size(), 1u) << kind;
    EXPECT_THAT(both[0], HasSubstr("heldout_fraction: must be 0 where data_test is given")) << kind;
    EXPECT_EQ(problems_of(kind, {{"heldout_fraction", .6}}).size(), 1u) << kind;
  }
}

}  // namespace
}  // namespace paddock::spec
