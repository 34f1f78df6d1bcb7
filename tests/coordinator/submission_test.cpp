#include "coordinator/submission.h"

#include <gtest/gtest.h>

#include "jobs/spec/parse.h"

namespace paddock::coordinator {
namespace {

using scheduler::On;

scheduler::GraphSubmitted submitted(const char* text) {
  const auto graph = spec::parse_graph(text, "g.yaml");
  EXPECT_TRUE(graph) << (graph ? "" : graph.error().message);
  auto submission = to_submission(*graph, "token");
  EXPECT_TRUE(submission) << (submission ? "" : submission.error().message);
  return *std::move(submission);
}

TEST(Submission, EverythingThatAJobAsksOfTheSchedulerArrivesThere) {
  const auto graph = submitted(R"(graph: g
tenant: vision
priority: 7
jobs:
  data: { kind: command, command: [make] }
  train:
    kind: command
    command: [train]
    needs: [data]
    on: { data: always }
    time_limit: 2h
    preemptible: true
    grace: 5m
    retry: { limit: 3, not_on: [signal, exit:3] }
    resources:
      nodes: 4
      nodes_min: 2
      gpus: 8
      gpu_kind: H100
      gpu_memory: 80GiB
      labels: { zone: north }
      avoid: { old: "" }
      apart: big
)");
  EXPECT_EQ(graph.tenant, "vision");
  ASSERT_EQ(graph.jobs.size(), 2u);
  const scheduler::JobRequest& job = graph.jobs[1];
  EXPECT_EQ(job.on, (std::map<JobName, On>{{JobName{"data"}, On::kAlways}}));
  EXPECT_EQ(job.time_limit, std::chrono::hours(2));
  EXPECT_TRUE(job.is_preemptible);
  EXPECT_EQ(job.retry->not_on, (std::set<std::string>{"signal", "exit:3"}));
  const scheduler::Request& asked = job.resources;
  EXPECT_EQ(asked.fewest_nodes(), 2u);
  EXPECT_EQ(asked.gpus_per_node(), 8u);
  EXPECT_EQ(asked.gpu_model, "H100");
  EXPECT_EQ(asked.gpu_memory_bytes, 80ull << 30);
  EXPECT_EQ(asked.labels.at("zone"), "north");
  EXPECT_EQ(asked.avoid.count("old"), 1u);
  EXPECT_EQ(asked.apart, "big");
}

TEST(Submission, JobsThatSaveTheirWorkArePreemptibleUnlessTheySayNo) {
  const auto graph = submitted(R"(graph: g
jobs:
  curate: { kind: curate, with: { pool: /p } }
  firm: { kind: curate, with: { pool: /q }, preemptible: false }
  plain: { kind: command, command: [x] }
)");
  EXPECT_TRUE(graph.jobs[0].is_preemptible);
  EXPECT_FALSE(graph.jobs[1].is_preemptible);
  EXPECT_FALSE(graph.jobs[2].is_preemptible);
}

TEST(Submission, WrongRequestsAreRefusedWithTheirKey) {
  const auto refusal = [](const std::string& resources) {
    const auto graph = spec::parse_graph(
        "graph: g\njobs: { a: { kind: command, command: [x], resources: " + resources + " } }", "g.yaml");
    return graph ? "accepted" : graph.error().message;
  };
  EXPECT_EQ(refusal("{ nodes: 2, nodes_min: 3 }"),
            "g.yaml:2: jobs.a.resources.nodes_min: is 3, must be at most nodes (2)");
  EXPECT_EQ(refusal("{ gpu_kind: H100 }"),
            "g.yaml:2: jobs.a.resources.gpus: is 0, must be at least 1 where a kind of GPU is asked for");
}

}  // namespace
}  // namespace paddock::coordinator
