// Operations over c10d, one rank with itself: Gloo for tensors on the CPU; NCCL's library, as far as it goes without a GPU.
#include "jobs/process_group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <filesystem>
#include <torch/csrc/distributed/c10d/HashStore.hpp>

#include "jobs/nccl_backend.h"
#include "tests/jobs/rank_operations.h"

namespace paddock::jobs {
namespace {

TEST(ProcessGroup, OneRankOverGlooHasWhatItGave) {
  const auto ranks = connect_ranks(RankEnvironment{}, std::chrono::seconds(20));
  expect_own_values_back(*ranks, torch::kCPU);
}

TEST(ProcessGroup, NobodyToMeetIsASentence) {
  RankEnvironment environment;
  environment.rank = 1;
  environment.world = 2;
  environment.master_port = 1;  // nobody listens there
  try {
    join_process_group(environment, std::chrono::milliseconds(300));
    FAIL() << "met somebody";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), ::testing::StartsWith("rank 1 could not meet the others at 127.0.0.1:1: "));
  }
}

TEST(NcclLibrary, LoadsAndSaysThatThereIsNoGpu) {
  if (!std::filesystem::exists(PADDOCK_BIN_DIR "/libpaddock_nccl.so"))
    GTEST_SKIP() << "built without CUDA's headers";
  if (std::filesystem::exists("/dev/nvidiactl")) GTEST_SKIP() << "this machine has a GPU";
  const NcclLibrary& library = nccl_library();
  ASSERT_NE(library.backend, nullptr) << library.problem;
  c10::intrusive_ptr<c10d::Backend> backend;
  EXPECT_THROW(
      library.backend(c10::make_intrusive<c10d::HashStore>(), 0, 1, std::chrono::seconds(1), backend),
      std::exception);
  EXPECT_FALSE(backend);
}

}  // namespace
}  // namespace paddock::jobs
