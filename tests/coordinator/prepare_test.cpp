#include "coordinator/prepare.h"

#include <gtest/gtest.h>

#include <fstream>

#include "coordinator/submission.h"
#include "jobs/spec/parse.h"
#include "scheduler/apply.h"
#include "tests/temporary_folder.h"

namespace paddock::coordinator {
namespace {

using scheduler::Artifact;
using scheduler::Artifacts;

constexpr const char* kGraph = R"(
graph: g
jobs:
  curate: { kind: curate, with: { pool: /pool } }
  again: { kind: curate, with: { pool: /pool, model: "${curate.dataset}" } }
  say: { kind: command, command: [echo, "${curate.dataset}"], environment: { DATA: "${curate.dataset}" } }
)";

class Prepare : public ::testing::Test {
 protected:
  void SetUp() override {
    auto graph = spec::parse_graph(kGraph, "graph.yaml");
    ASSERT_TRUE(graph) << graph.error().message;
    for (const spec::JobSpec& job : graph->jobs) jobs_[job.name] = job;
  }
  Result<Preparation> prepare_one(const std::string& name, const Made& made) {
    return prepare(jobs_.at(name), made, stages_, "/store", "/store/graphs/1/" + name);
  }
  static Made made(const std::string& path, const std::string& hash) {
    return {{"curate", {{"dataset", Artifact{path, hash}}}}};
  }

  std::map<std::string, spec::JobSpec> jobs_;
  std::map<std::string, Artifacts> stages_;
};

TEST_F(Prepare, FillsInPathsAndKeysByHashes) {
  const auto here = prepare_one("again", made("/store/d", "hash"));
  const auto moved = prepare_one("again", made("/elsewhere/d", "hash"));
  const auto changed = prepare_one("again", made("/store/d", "other"));
  ASSERT_TRUE(here && moved && changed);
  EXPECT_NE(here->launch.options.find("/store/d"), std::string::npos);
  EXPECT_EQ(here->launch.stage_key, moved->launch.stage_key);
  EXPECT_NE(here->launch.stage_key, changed->launch.stage_key);
  EXPECT_EQ(here->launch.directory, "/store/stages/curate-" + here->launch.stage_key.substr(0, 16));
}

// Keys as they were made before run.weights was an option: finished stages stay finished. The option's other value is another stage.
TEST_F(Prepare, AnOptionThatCameLaterLeavesStageKeysAsTheyWereUnlessItIsUsed) {
  const auto key = [](const std::string& kind, const std::string& with) {
    const auto graph = spec::parse_graph(
        "{graph: g, jobs: {train: {kind: " + kind + ", with: {data: /data, " + with + "}}}}", "graph.yaml");
    if (!graph) return graph.error().message;
    const auto prepared = prepare(graph->jobs.front(), {}, {}, "/store", "/store/graphs/1/train");
    return prepared ? prepared->launch.stage_key : prepared.error().message;
  };
  EXPECT_EQ(key("pretrain", ""), "394ac178f9daad859cc64bdf2733ee20");
  EXPECT_EQ(key("pretrain", "run: {weights: whole}"), "394ac178f9daad859cc64bdf2733ee20");
  EXPECT_EQ(key("pretrain", "run: {precision: bf16, heldout_every: 7}"), "3ec3f3cbbc61684a03c119edb54e3133");
  EXPECT_EQ(key("adapt", "from: /weights"), "fba8a542adc21fe8c9493d2ee71e1342");
  EXPECT_EQ(key("distill", "teacher: /teacher"), "edf291c841631a17cf15371e71c06657");
  EXPECT_NE(key("pretrain", "run: {weights: sliced, precision: bf16, heldout_every: 7}"),
            "3ec3f3cbbc61684a03c119edb54e3133");
}

TEST_F(Prepare, TakesFinishedWorkOnlyWhileItIsThere) {
  const auto first = prepare_one("curate", {});
  ASSERT_TRUE(first);
  EXPECT_FALSE(first->is_cached);
  TemporaryFolder folder;
  const auto dataset = folder.path() / "dataset";
  stages_[first->launch.stage_key] = {{"dataset", Artifact{dataset.string(), "hash"}}};
  EXPECT_FALSE(prepare_one("curate", {})->is_cached);
  std::filesystem::create_directory(dataset);
  const auto cached = prepare_one("curate", {});
  EXPECT_TRUE(cached->is_cached);
  EXPECT_EQ(cached->artifacts.at("dataset").hash, "hash");
}

TEST_F(Prepare, ACommandIsNeverSharedAndWorksInItsOwnFolder) {
  const auto say = prepare_one("say", made("/store/d", "hash"));
  ASSERT_TRUE(say) << say.error().message;
  EXPECT_EQ(say->launch.stage_key, "");
  EXPECT_EQ(say->launch.directory, "/store/graphs/1/say");
  EXPECT_EQ(say->launch.command, (std::vector<std::string>{"echo", "/store/d"}));
  EXPECT_EQ(say->launch.environment.at("DATA"), "/store/d");
}

TEST_F(Prepare, AnArtifactWithoutAHashCannotBeKeyed) {
  EXPECT_EQ(prepare_one("again", made("/store/d", ""))->launch.stage_key, "");
}

TEST_F(Prepare, AnArtifactThatWasNotMadeIsNamed) {
  const auto refused = prepare_one("again", {{"curate", {}}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kNotFound);
  EXPECT_NE(refused.error().message.find("has made no artifact dataset"), std::string::npos);
}

TEST_F(Prepare, AJobWithoutCacheHasNoKeyAndAFolderOfItsOwn) {
  jobs_.at("curate").cache = false;
  const auto prepared = prepare_one("curate", {});
  ASSERT_TRUE(prepared);
  EXPECT_EQ(prepared->launch.stage_key, "");
  EXPECT_EQ(prepared->launch.directory, "/store/graphs/1/curate");
}

TEST(PrepareJob, IsSkippedWhenItsConditionDoesNotHold) {
  const auto graph = spec::parse_graph(R"(graph: g
jobs:
  probe: { kind: command, command: [probe] }
  train: { kind: command, command: [train], if: { made: "${probe.go}" } }
  rest:  { kind: command, command: [rest], if: { not_made: "${probe.go}" } }
)",
                                       "g.yaml");
  ASSERT_TRUE(graph) << graph.error().message;
  const auto submission = to_submission(*graph, "token");
  ASSERT_TRUE(submission) << submission.error().message;
  scheduler::Cluster cluster;
  scheduler::Effects effects;
  scheduler::apply(cluster, {{}, *submission}, effects);
  const auto answer = [&](const char* name) {
    return prepare_job(cluster, JobKey{GraphId{1}, JobName{name}}, "/store");
  };
  const auto skipped = answer("train");
  ASSERT_TRUE(std::holds_alternative<scheduler::JobSkipped>(skipped));
  EXPECT_EQ(std::get<scheduler::JobSkipped>(skipped).reason, "its condition does not hold: made ${probe.go}");
  EXPECT_TRUE(std::holds_alternative<scheduler::JobPrepared>(answer("rest")));
  cluster.graphs.at(GraphId{1}).jobs.at(JobName{"probe"}).artifacts["go"] = {"/store/go", ""};
  EXPECT_TRUE(std::holds_alternative<scheduler::JobPrepared>(answer("train")));
  EXPECT_TRUE(std::holds_alternative<scheduler::JobSkipped>(answer("rest")));
}

}  // namespace
}  // namespace paddock::coordinator
