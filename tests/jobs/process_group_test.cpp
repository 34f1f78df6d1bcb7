// Operations over c10d, one rank with itself: Gloo for tensors on the CPU; NCCL's library, as far as it goes without a GPU.
#include "jobs/process_group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <filesystem>
#include <future>
#include <optional>
#include <torch/csrc/distributed/c10d/HashStore.hpp>

#include "jobs/devices.h"
#include "jobs/nccl_backend.h"
#include "tests/jobs/rank_operations.h"
#include "tests/model/ranks_in_memory.h"

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

TEST(Devices, OfAllRanksAreOfOneKind) {
  const auto compare = [](const std::vector<torch::Device>& devices) {
    model::RanksInMemory(std::ssize(devices)).run([&](model::Collective& ranks) {
      compare_devices(devices[static_cast<std::size_t>(ranks.rank())], ranks);
    });
  };
  EXPECT_NO_THROW(compare({torch::kCPU, torch::kCPU}));
  EXPECT_NO_THROW(compare({torch::kCUDA, torch::kCUDA}));
  EXPECT_THAT(
      [&] {
        compare({torch::kCUDA, torch::kCUDA, torch::kCPU});
      },
      ::testing::ThrowsMessage<std::invalid_argument>(
          "rank 0 has a GPU and rank 2 has none: ask for GPUs with resources.gpus, or set run.device "
          "to cpu"));
  EXPECT_THAT(
      [&] {
        compare({torch::kCPU, torch::kCUDA});
      },
      ::testing::ThrowsMessage<std::invalid_argument>(
          ::testing::StartsWith("rank 0 has no GPU and rank 1 has one: ")));
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

TEST(NcclLibrary, IsUsedWhenAllRanksHaveIt) {
  const auto agreed = [](const std::vector<bool>& has) {
    const auto store = c10::make_intrusive<c10d::HashStore>();
    std::vector<std::future<std::optional<std::int64_t>>> said;
    for (std::size_t rank = 0; rank < has.size(); ++rank) {
      said.push_back(std::async(std::launch::async, [&, rank] {
        return rank_without_nccl(*store, static_cast<std::int64_t>(rank),
                                 static_cast<std::int64_t>(has.size()), has[rank]);
      }));
    }
    std::vector<std::optional<std::int64_t>> answers;
    for (auto& one : said) answers.push_back(one.get());
    return answers;
  };
  using ::testing::Each;
  EXPECT_THAT(agreed({true, true, true}), Each(std::nullopt));
  EXPECT_THAT(agreed({true, false, true}), Each(std::optional<std::int64_t>(1)));
  EXPECT_THAT(agreed({true, true, false}), Each(std::optional<std::int64_t>(2)));
}

}  // namespace
}  // namespace paddock::jobs
