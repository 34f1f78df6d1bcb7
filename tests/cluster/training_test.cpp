// A training run on two workers, killed on the way: it must end with the same bits as one that never was.
#include <signal.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "tests/cluster/real_cluster.h"

namespace paddock::cluster_test {
namespace {

constexpr const char* kPool = "/usr/share/openclipart/png/transportation";

const std::string kGraph = std::string(R"(
graph: tiny
jobs:
  curate:
    kind: curate
    with: { pool: )") + kPool +
                           R"(, decode: { max_side: 32 }, classes: [], min_class: 5 }
  pretrain:
    kind: pretrain
    resources: { nodes: 2 }
    retry: { limit: 5, backoff: 100ms }
    with:
      data: ${curate.dataset}
      batch_size: 8
      backbone: { arch: custom, embed_dim: 32, depth: 2, heads: 2, patch_size: 8, registers: 4, drop_path: 0.2 }
      crops: { global_size: 32, local_size: 16, local_count: 2 }
      heads: { dino: { prototypes: 64, hidden: 32, bottleneck: 16 } }
      schedule: { steps: 60, warmup_steps: 5, base_lr: 0.01, teacher_temperature_steps: 10, freeze_last_layer_steps: 2 }
      run: { precision: fp32, checkpoint_every: 5, heldout_every: 20, heldout_batches: 1 }
)";

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class TrainingRun : public RealCluster {
 protected:
  void SetUp() override {
    if (!fs::exists(kPool)) GTEST_SKIP() << kPool << " is missing: install openclipart-png";
    start_coordinator();
    start_worker("a");
    start_worker("b");
  }

  static fs::path artifact(const Json& job, const std::string& name) {
    for (const Json& found : job.at("artifacts"))
      if (found.at("name") == name) return found.at("path").get<std::string>();
    ADD_FAILURE() << "no artifact " << name << " in " << job.dump(1);
    return {};
  }

  // Waits until a checkpoint of the pretraining is on record, then kills the given rank of it.
  void kill_rank_after_a_checkpoint(std::uint64_t id, std::size_t rank) {
    while (true) {
      const Json now = graph(id);
      ASSERT_EQ(now.at("state"), "active") << "it ended before it could be killed: " << now.dump(1);
      const Json pretrain = job(now, "pretrain");
      if (pretrain.at("state") != "running") continue;
      if (ask({"checkpoints", std::to_string(id), "pretrain"}).at("checkpoints").empty()) continue;
      const auto pid = pretrain.at("attempts").back().at("pids").at(rank).get<pid_t>();
      if (pid > 0 && kill(pid, SIGKILL) == 0) return;
    }
  }

  // All that a run leaves behind but what names the attempt: tensors' hashes, metrics, held-out losses.
  static std::string remains(const Json& pretrain) {
    const Json manifest = Json::parse(read_file(artifact(pretrain, "checkpoint") / "manifest.json"));
    const fs::path run = artifact(pretrain, "run");
    return manifest.at("files").dump() + read_file(run / "metrics.jsonl") + read_file(run / "heldout.jsonl");
  }
};

class KilledTrainingRun : public TrainingRun {};

TEST_F(KilledTrainingRun, EndsWithTheSameBitsAsAnUndisturbedOne) {
  const auto killed_id = submit(kGraph);
  kill_rank_after_a_checkpoint(killed_id, 1);
  const Json killed = wait_until_ended(killed_id);
  ASSERT_EQ(killed.at("state"), "succeeded") << killed.dump(1);
  const Json killed_job = job(killed, "pretrain");
  ASSERT_GE(killed_job.at("attempts").size(), 2u) << killed_job.dump(1);
  EXPECT_EQ(killed_job.at("attempts")[0].at("outcome"), "failed");
  const std::string after_kill = remains(killed_job);
  // The same work again, from nothing: another store, no cache.
  kill_now("a");
  kill_now("b");
  kill_now("coordinator");
  fs::rename(folder / "store", folder / "store-of-the-killed");
  fs::remove_all(folder / "coordinator");
  start_coordinator();
  start_worker("a");
  start_worker("b");
  const Json undisturbed = wait_until_ended(submit(kGraph));
  ASSERT_EQ(undisturbed.at("state"), "succeeded") << undisturbed.dump(1);
  EXPECT_EQ(job(undisturbed, "pretrain").at("attempts").size(), 1u);
  EXPECT_TRUE(remains(job(undisturbed, "pretrain")) == after_kill) << "the runs differ: see " << folder;
}

TEST_F(TrainingRun, ASecondSubmissionTakesFinishedStagesFromTheCache) {
  const Json first = wait_until_ended(submit(kGraph));
  ASSERT_EQ(first.at("state"), "succeeded") << first.dump(1);
  const Json second = wait_until_ended(submit(kGraph));
  EXPECT_EQ(second.at("state"), "succeeded");
  EXPECT_TRUE(job(second, "curate").at("cached").get<bool>());
  EXPECT_TRUE(job(second, "pretrain").at("cached").get<bool>());
  EXPECT_EQ(artifact(job(first, "pretrain"), "checkpoint"), artifact(job(second, "pretrain"), "checkpoint"));
}

}  // namespace
}  // namespace paddock::cluster_test
