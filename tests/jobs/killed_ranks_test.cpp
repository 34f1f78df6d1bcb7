// The program itself: real ranks, killed with SIGKILL, asked with SIGTERM, and started again.
#include "attempt.h"

namespace paddock::jobs {
namespace {

class RanksTest : public RunsTest, public testing::WithParamInterface<int> {
 protected:
  std::vector<int> finish(const fs::path& dir) { return Attempt("pretrain", spec_, dir, GetParam()).wait(); }
};

TEST_P(RanksTest, KilledBetweenCheckpointsAndStartedAgainEndInTheSameBits) {
  write_spec(12);
  const std::vector<int> all_done(static_cast<std::size_t>(GetParam()), 0);
  const auto undisturbed = folder_.path() / "undisturbed", dir = folder_.path() / "killed";
  ASSERT_EQ(finish(undisturbed), all_done);
  for (const int checkpoints : {1, 2, 1}) {
    Attempt attempt("pretrain", spec_, dir, GetParam());
    EXPECT_TRUE(attempt.wait_for("checkpoint", checkpoints));
    attempt.signal_all(SIGKILL);
  }
  ASSERT_EQ(finish(dir), all_done);
  EXPECT_TRUE(outcome(dir) == outcome(undisturbed));
}

TEST_P(RanksTest, AskedToStopSaveTheirStepAndEndWith75) {
  write_spec(100'000);  // long enough to be asked in time
  const auto dir = folder_.path() / "stopped";
  Attempt attempt("pretrain", spec_, dir, GetParam());
  EXPECT_TRUE(attempt.wait_for("progress", 1));
  attempt.signal_all(SIGTERM);
  EXPECT_EQ(attempt.wait(), std::vector<int>(static_cast<std::size_t>(GetParam()), 75));
  const std::string step = outcome(dir).substr(0, outcome(dir).find_first_not_of("0123456789"));
  const std::string metrics = text_of_file(dir / "metrics.jsonl");
  EXPECT_NE(metrics.substr(metrics.rfind('{')).find("\"step\":" + step + ","), std::string::npos);
}

// The promise of virtual shards: how many ranks carry a run out, from where to where, leaves no trace.
TEST_F(RunsTest, OneTwoThreeOneAndFourRanksWithKillsBetweenEndInTheBitsOfOneUndisturbed) {
  for (const char* centering : {"sinkhorn_knopp", "softmax"}) {
    SCOPED_TRACE(centering);
    write_spec(14, centering);
    const auto undisturbed = folder_.path() / (std::string("one-") + centering);
    const auto dir = folder_.path() / (std::string("elastic-") + centering);
    ASSERT_EQ(Attempt("pretrain", spec_, undisturbed, 1).wait(), std::vector<int>{0});
    for (const int world : {1, 2, 3, 1}) {
      Attempt attempt("pretrain", spec_, dir, world);
      EXPECT_TRUE(attempt.wait_for("checkpoint", 1)) << world << " ranks";
      attempt.signal_all(SIGKILL);
    }
    ASSERT_EQ(Attempt("pretrain", spec_, dir, 4).wait(), (std::vector<int>{0, 0, 0, 0}));
    EXPECT_TRUE(outcome(dir) == outcome(undisturbed));
  }
}

// The same of a distillation of two students, each of which has its own gradients and slices of moments.
TEST_F(RunsTest, OneTwoAndThreeRanksWithKillsBetweenEndInTheSameBitsOfBothStudents) {
  write_spec(4);
  const auto teacher = folder_.path() / "teacher";
  ASSERT_EQ(Attempt("pretrain", spec_, teacher, 1).wait(), std::vector<int>{0});
  auto options = two_students(dataset(), teacher / "checkpoints" / "step-0000000004");
  options["run"]["checkpoint_every"] = 2;
  std::ofstream(spec_) << options.dump();
  const auto undisturbed = folder_.path() / "one", dir = folder_.path() / "elastic";
  ASSERT_EQ(Attempt("distill", spec_, undisturbed, 1).wait(), std::vector<int>{0});
  for (const int world : {1, 2, 3}) {
    Attempt attempt("distill", spec_, dir, world);
    EXPECT_TRUE(attempt.wait_for("checkpoint", 1)) << world << " ranks";
    attempt.signal_all(SIGKILL);
  }
  ASSERT_EQ(Attempt("distill", spec_, dir, 2).wait(), (std::vector<int>{0, 0}));
  EXPECT_TRUE(outcome(dir) == outcome(undisturbed));
  for (const char* student : {"deep", "wide"}) {
    EXPECT_TRUE(outcome(dir / "students" / student) == outcome(undisturbed / "students" / student));
  }
}

// The same where each rank has a slice of the float32 weights.
TEST_F(RunsTest, OneTwoAndThreeRanksWithSlicedWeightsAndKillsBetweenEndInTheBitsOfOneUndisturbed) {
  write_spec(10);
  auto options = nlohmann::json::parse(text_of_file(spec_));
  options["run"].update({{"precision", "bf16"}, {"weights", "sliced"}, {"health_every", 3}});
  options["backbone"].update(
      {{"embed_dim", 96}, {"heads", 3}, {"depth", 3}});  // slices are cut within parameters
  std::ofstream(spec_) << options.dump();
  const auto undisturbed = folder_.path() / "one", dir = folder_.path() / "elastic";
  ASSERT_EQ(Attempt("pretrain", spec_, undisturbed, 1).wait(), std::vector<int>{0});
  for (const int world : {1, 2, 3}) {
    Attempt attempt("pretrain", spec_, dir, world);
    EXPECT_TRUE(attempt.wait_for("checkpoint", 1)) << world << " ranks";
    attempt.signal_all(SIGKILL);
  }
  ASSERT_EQ(Attempt("pretrain", spec_, dir, 3).wait(), (std::vector<int>{0, 0, 0}));
  EXPECT_TRUE(outcome(dir) == outcome(undisturbed));
  const auto knn = lines_of(dir / "knn.jsonl");
  EXPECT_EQ(knn.back().at("step"), 10);
}

TEST_F(RunsTest, TwoStudentsWithSlicedWeightsAreTheSameOnOneAndThreeRanks) {
  write_spec(4);
  const auto teacher = folder_.path() / "teacher";
  ASSERT_EQ(Attempt("pretrain", spec_, teacher, 1).wait(), std::vector<int>{0});
  auto options = two_students(dataset(), teacher / "checkpoints" / "step-0000000004");
  options["run"].update({{"checkpoint_every", 2}, {"precision", "bf16"}, {"weights", "sliced"}});
  options["schedule"]["steps"] = 6;
  std::ofstream(spec_) << options.dump();
  const auto one = folder_.path() / "one", three = folder_.path() / "three";
  ASSERT_EQ(Attempt("distill", spec_, one, 1).wait(), std::vector<int>{0});
  {
    Attempt attempt("distill", spec_, three, 2);
    EXPECT_TRUE(attempt.wait_for("checkpoint", 1));
    attempt.signal_all(SIGKILL);
  }
  ASSERT_EQ(Attempt("distill", spec_, three, 3).wait(), (std::vector<int>{0, 0, 0}));
  EXPECT_TRUE(outcome(three) == outcome(one));
  for (const char* student : {"deep", "wide"})
    EXPECT_TRUE(outcome(three / "students" / student) == outcome(one / "students" / student));
}

class SeveralRanksTest : public RanksTest {};

TEST_P(SeveralRanksTest, LoseOneAndTheOthersFailInsteadOfWaiting) {
  write_spec(100'000);
  Attempt attempt("pretrain", spec_, folder_.path() / "lost", GetParam());
  EXPECT_TRUE(attempt.wait_for("progress", 1));
  attempt.signal(1, SIGKILL);
  EXPECT_EQ(attempt.wait(), (std::vector<int>{1, -SIGKILL}));
}

INSTANTIATE_TEST_SUITE_P(Ranks, RanksTest, testing::Values(1, 2));
INSTANTIATE_TEST_SUITE_P(Ranks, SeveralRanksTest, testing::Values(2));

TEST(PaddockRun, EndsWith2ForWrongOptionsAndSaysWhichAndWhy) {
  TemporaryFolder folder;
  const auto spec = folder.path() / "spec.json";
  auto options = tiny_options("/nowhere");
  options["backbone"]["deptth"] = 3;
  std::ofstream(spec) << options.dump();
  Attempt attempt("pretrain", spec, folder.path() / "run", 1);
  EXPECT_TRUE(attempt.wait_for("backbone.deptth", 1));
  EXPECT_EQ(attempt.wait(), std::vector<int>{2});
}

}  // namespace
}  // namespace paddock::jobs
