#include "jobs/spec/matrix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/limits.h"
#include "jobs/spec/parse.h"

namespace paddock::spec {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string refusal(std::string_view text) {
  const auto graph = parse_graph(text, "g.yaml");
  return graph ? "accepted" : graph.error().message;
}

std::vector<std::string> names_of(const GraphSpec& graph) {
  std::vector<std::string> names;
  for (const JobSpec& job : graph.jobs) names.push_back(job.name);
  return names;
}

TEST(Matrix, MakesAJobForEachCombinationAndFillsInItsValues) {
  const auto graph = parse_graph(R"(graph: g
jobs:
  sweep:
    kind: command
    matrix: { size: [s, l], rate: { from: 1, to: 2 } }
    command: [train, "--size=${matrix.size}", "${matrix.rate}"]
)",
                                 "g.yaml");
  ASSERT_TRUE(graph) << graph.error().message;
  EXPECT_THAT(names_of(*graph), ElementsAre("sweep.1.s", "sweep.1.l", "sweep.2.s", "sweep.2.l"));
  EXPECT_THAT(graph->jobs[3].command, ElementsAre("train", "--size=l", "2"));
}

TEST(Matrix, AKeyThatNoTextMentionsIsAnOptionOfThatName) {
  const auto graph = parse_graph(R"(graph: g
jobs:
  curate: { kind: curate, with: { pool: /p } }
  train:
    kind: pretrain
    matrix: { recipe: [vits14-short, cifar10-cpu] }
    with: { data: "${curate.dataset}" }
)",
                                 "g.yaml");
  ASSERT_TRUE(graph) << graph.error().message;
  EXPECT_THAT(names_of(*graph), ElementsAre("curate", "train.vits14-short", "train.cifar10-cpu"));
  EXPECT_NE(graph->jobs[1].with, graph->jobs[2].with);
}

TEST(Matrix, WhoNamesItMeansAllOrThoseOfTheSameValues) {
  const auto graph = parse_graph(R"(graph: g
jobs:
  make: { kind: command, matrix: { size: [s, l] }, command: [make, "${matrix.size}"] }
  same: { kind: command, matrix: { size: [s, l] }, command: ["${matrix.size}", "${make.model}"] }
  all:  { kind: command, needs: [same], command: [sh, "${make.model}"] }
  tell: { kind: command, needs: [make], on: { make: failure }, command: [tell] }
)",
                                 "g.yaml");
  ASSERT_TRUE(graph) << graph.error().message;
  ASSERT_EQ(graph->jobs.size(), 6u);
  EXPECT_THAT(graph->jobs[2].command, ElementsAre("s", "${make.s.model}"));
  EXPECT_THAT(graph->jobs[2].needs, ElementsAre("make.s"));
  EXPECT_THAT(graph->jobs[4].command, ElementsAre("sh", "${make.s.model}", "${make.l.model}"));
  EXPECT_THAT(graph->jobs[4].needs, ElementsAre("same.s", "same.l", "make.l", "make.s"));
  EXPECT_EQ(graph->jobs[5].on.of_need("make.l"), "failure");
}

TEST(Matrix, OneTextThatWouldMeanSeveralIsRefused) {
  EXPECT_THAT(
      refusal(R"(graph: g
jobs:
  make: { kind: command, matrix: { size: [s, l] }, command: [make, "${matrix.size}"] }
  use:
    kind: command
    command: [use]
    environment: { MODEL: "${make.model}" }
)"),
      HasSubstr("g.yaml:7: jobs.use.environment.MODEL: refers to make, which stands for make.s, make.l;"));
}

TEST(Matrix, WhatIsWrongIsToldOnceAtItsLine) {
  EXPECT_EQ(refusal("graph: g\njobs:\n  a: { kind: command, matrix: { x: [] }, command: [a] }"),
            "g.yaml:3: jobs.a.matrix.x: is [], must be a map from names to lists of values, or to {from: 1, "
            "to: 100}, "
            "no name and no list empty");
  EXPECT_THAT(refusal("graph: g\njobs:\n  a: { kind: command, matrix: { x: [1, 2] }, command: [a] }"),
              HasSubstr("g.yaml:3: jobs.a.matrix.x: stands nowhere in the job"));
  const std::string twice = refusal(R"(graph: g
jobs:
  a:
    kind: command
    matrix: { x: [1, 2] }
    command: ["${matrix.x}"]
    grace: soon
)");
  EXPECT_THAT(twice, HasSubstr("g.yaml:7: jobs.a.grace: is \"soon\""));
  EXPECT_EQ(twice.find('\n'), std::string::npos);
}

TEST(Matrix, HasABoundAndDoubledNamesAreRefused) {
  EXPECT_THAT(refusal("graph: g\njobs: { a: { kind: command, matrix: { x: { from: 1, to: 400 }, y: { from: "
                      "1, to: 400 } }, "
                      "command: [\"${matrix.x}${matrix.y}\"] } }"),
              HasSubstr("makes the graph larger than 100000 jobs"));
  EXPECT_THAT(refusal("graph: g\njobs: { a: { kind: command, matrix: { x: ['a b', a-b] }, command: "
                      "[\"${matrix.x}\"] } }"),
              HasSubstr("makes a second job a.a-b"));
}

TEST(Matrix, OneLineMakesAHundredThousandJobs) {
  const auto graph = parse_graph(
      "graph: g\njobs: { a: { kind: command, matrix: { x: { from: 1, to: 100000 } }, command: "
      "[\"${matrix.x}\"] } }",
      "g.yaml");
  ASSERT_TRUE(graph) << graph.error().message;
  EXPECT_EQ(graph->jobs.size(), limits::kJobsPerGraphMax);
  EXPECT_EQ(graph->jobs.back().name, "a.100000");
}

// Each has a job of the other for it, found without a look at all the others.
TEST(Matrix, TwoLargeOnesWithTheSameValuesMeetPairByPair) {
  const auto graph = parse_graph(R"(graph: g
jobs:
  first: { kind: command, matrix: { n: { from: 1, to: 40000 } }, command: [make, "${matrix.n}"] }
  then:  { kind: command, matrix: { n: { from: 1, to: 40000 } }, needs: [first], command: [use, "${matrix.n}"] }
)",
                                 "g.yaml");
  ASSERT_TRUE(graph) << graph.error().message;
  ASSERT_EQ(graph->jobs.size(), 80'000u);
  EXPECT_THAT(graph->jobs[79'999].needs, ElementsAre("first.40000"));
}

TEST(Matrix, OfOthersWithoutACommonKeyThereIsABound) {
  EXPECT_THAT(
      refusal(R"(graph: g
jobs:
  first: { kind: command, matrix: { n: { from: 1, to: 40000 } }, command: [make, "${matrix.n}"] }
  then:  { kind: command, matrix: { m: { from: 1, to: 40000 } }, needs: [first], command: [use, "${matrix.m}"] }
)"),
      HasSubstr("g.yaml:4: jobs.then: names the jobs of first, which makes more than 1000000 names in "
                "the whole graph, must name fewer, or have the same matrix"));
}

TEST(Matrix, AHundredThousandJobsThatNeedNobodyThereIsAreRefusedInAMoment) {
  EXPECT_THAT(
      refusal("graph: g\njobs:\n  a: { kind: command, matrix: { n: { from: 1, to: 100000 } }, "
              "needs: [b], command: [make, '${matrix.n}'] }\n"),
      ::testing::EndsWith("g.yaml:3: jobs.a.needs: no job is called \"b\" of the 100000 of the graph"));
}

TEST(Matrix, OneThatMakesNothingButTakenNamesMayBeReferredTo) {
  EXPECT_THAT(refusal(R"(graph: g
jobs:
  a.1: { kind: command, command: [x] }
  a: { matrix: { x: [1] }, kind: command, command: ["${matrix.x}"] }
  b: { kind: command, command: [x], environment: { A: "${a.dataset}" } }
)"),
              HasSubstr("a.1"));
}

TEST(Matrix, FiftyThousandJobsThatMeanNoneOfFiftyThousandAreRefusedInAMoment) {
  EXPECT_THAT(refusal(R"(graph: g
jobs:
  a: { matrix: { x: { from: 0, to: 49999 } }, kind: command, command: ["${matrix.x}"] }
  b: { matrix: { x: { from: 50000, to: 99999 } }, kind: command, command: ["${matrix.x}"], environment: { A: "${a.dataset}" } }
)"),
              HasSubstr("refers to a, which stands for"));
}

TEST(Matrix, ValuesOfTheSameNumberAgreeHoweverTheyAreWritten) {
  const auto graph = parse_graph(R"(graph: g
jobs:
  first: { kind: command, matrix: { n: [1, 2], side: [l, r] }, command: [make, "${matrix.n}", "${matrix.side}"] }
  then:  { kind: command, matrix: { n: [1.0, 3] }, needs: [first], command: [use, "${matrix.n}"] }
)",
                                 "g.yaml");
  ASSERT_TRUE(graph) << graph.error().message;
  EXPECT_THAT(graph->jobs[4].needs, ElementsAre("first.1.l", "first.1.r"));
  EXPECT_THAT(graph->jobs[5].needs, ElementsAre());
}

TEST(Edges, AreOneTextForAllNeedsOrAMapForSome) {
  const auto graph = parse_graph(R"(graph: g
jobs:
  a: { kind: command, command: [a], time_limit: 2h, cache: false }
  b: { kind: command, command: [b], needs: [a], on: always }
  c: { kind: command, command: [c], needs: [a, b], on: { b: failure } }
  d: { kind: command, command: [d], if: { made: "${a.model}" } }
)",
                                 "g.yaml");
  ASSERT_TRUE(graph) << graph.error().message;
  EXPECT_EQ(graph->jobs[0].time_limit, std::chrono::hours(2));
  EXPECT_FALSE(graph->jobs[0].cache);
  EXPECT_EQ(graph->jobs[1].on.of_need("a"), "always");
  EXPECT_EQ(graph->jobs[2].on.of_need("a"), "success");
  EXPECT_EQ(graph->jobs[2].on.of_need("b"), "failure");
  EXPECT_THAT(graph->jobs[3].needs, ElementsAre("a"));
  const auto again = graph_from_json(Json::parse(to_json(*graph).dump()));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(*again, *graph);
}

TEST(Edges, WrongOnesAreRefused) {
  EXPECT_THAT(refusal("graph: g\njobs: { a: { kind: command, command: [a], on: { b: failure } } }"),
              HasSubstr("jobs.a.on: names `b`, which the job does not need"));
  EXPECT_THAT(refusal("graph: g\njobs: { a: { kind: command, command: [a], on: sometimes } }"),
              HasSubstr("jobs.a.on: is \"sometimes\", must be one of: success, failure, always, or a map "
                        "from needs to these"));
  EXPECT_THAT(refusal("graph: g\njobs: { a: { kind: command, command: [a], if: { made: model } } }"),
              HasSubstr("jobs.a.if.made: is \"model\", must be ${job.artifact}"));
}

}  // namespace
}  // namespace paddock::spec
