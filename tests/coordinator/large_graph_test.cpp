// A graph of thousands of jobs is answered at once, and prepared while others are heard.
#include <gtest/gtest.h>

#include "coordinator/answers.h"
#include "tests/coordinator/stepped_coordinator.h"

namespace paddock::coordinator {
namespace {

constexpr const char* kThreeThousand = R"(
graph: sweep
jobs:
  job: { kind: command, command: [work, "${matrix.n}"], matrix: { n: { from: 1, to: 3000 } } }
)";

std::uint32_t in_state(const SteppedCoordinator& story, scheduler::JobState state) {
  return story.cluster().graphs.at(GraphId{1}).in_state[static_cast<std::size_t>(state)];
}

class LargeGraph : public ::testing::Test {
 protected:
  LargeGraph() : story_(WallTime{1'800'000'000'000}) {
    story_.start();
    EXPECT_TRUE(story_.submit(kThreeThousand, "token").message().isSubmitted());
  }
  std::uint32_t preparing() const { return in_state(story_, scheduler::JobState::kPreparing); }

  SteppedCoordinator story_;
};

TEST_F(LargeGraph, IsPreparedInTurnsInWhichOthersAreAnswered) {
  EXPECT_GT(preparing(), 1'000u) << "the answer has come first";
  int turns = 0;
  for (; preparing() > 0; ++turns) {
    EXPECT_EQ(story_.coordinator().time_to_wait(), Millis(0));
    const std::uint32_t before = preparing();
    EXPECT_TRUE(
        story_.ask([](wire::Message::Builder message) { message.setNodesRequest(); }).message().isNodes());
    ASSERT_LT(preparing(), before);
  }
  EXPECT_GT(turns, 2);
  EXPECT_EQ(in_state(story_, scheduler::JobState::kQueued), 3'000u);
  EXPECT_GT(story_.coordinator().time_to_wait(), Millis(0));
}

TEST_F(LargeGraph, IsPreparedToTheEndThoughTheCoordinatorDiesMeanwhile) {
  story_.turn();
  ASSERT_GT(preparing(), 0u);
  story_.die();
  story_.start();
  for (int turns = 0; preparing() > 0; ++turns) {
    ASSERT_LT(turns, 100);
    story_.turn();
  }
  EXPECT_EQ(in_state(story_, scheduler::JobState::kQueued), 3'000u);
}

}  // namespace
}  // namespace paddock::coordinator
