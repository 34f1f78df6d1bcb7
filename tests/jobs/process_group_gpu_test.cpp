// NCCL with one rank on a GPU.
#include <gtest/gtest.h>

#include <filesystem>

#include "jobs/devices.h"
#include "jobs/nccl_backend.h"
#include "jobs/process_group.h"
#include "tests/jobs/rank_operations.h"

namespace paddock::jobs {
namespace {

TEST(ProcessGroupGpu, OneRankOverNcclHasWhatItGave) {
  if (!std::filesystem::exists("/dev/nvidiactl")) GTEST_SKIP() << "needs a GPU";
  const auto device = choose_device("cuda");
  ASSERT_NE(nccl_library().backend, nullptr) << nccl_library().problem;
  const auto ranks = connect_ranks(RankEnvironment{}, std::chrono::seconds(60));
  expect_own_values_back(*ranks, device);
  expect_own_values_back(*ranks, torch::kCPU);
}

}  // namespace
}  // namespace paddock::jobs
