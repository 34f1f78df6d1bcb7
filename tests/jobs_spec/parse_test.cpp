#include "jobs/spec/parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/limits.h"
#include "jobs/spec/references.h"

namespace paddock::spec {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> problems_of(std::string_view text) {
  const auto graph = parse_graph(text, "g.yaml");
  EXPECT_FALSE(graph.has_value());
  if (graph) return {};
  EXPECT_EQ(graph.error().code, Code::kInvalid);
  return lines_of(graph.error().message);
}

std::string only_problem_of(std::string_view text) {
  const auto problems = problems_of(text);
  EXPECT_EQ(problems.size(), 1u) << ::testing::PrintToString(problems);
  return problems.empty() ? "" : problems.front();
}

TEST(Parse, JobsKeepTheirOrderAndTheirDefaults) {
  const auto graph = parse_graph(R"(graph: g
priority: 5
jobs:
  zebra: { kind: command, command: [echo, hi] }
  ant:
    kind: command
    command: [sh, -c, 'echo ${HOME}']
    needs: [zebra]
    resources: { nodes: 2, gpus: 4, memory: 2GiB }
    retry: { limit: 0, backoff: 1m }
    environment: { A: "1" }
)",
                                 "g.yaml");
  ASSERT_TRUE(graph.has_value()) << graph.error().message;
  ASSERT_EQ(graph->jobs.size(), 2u);
  EXPECT_EQ(graph->jobs[0].name, "zebra");
  EXPECT_EQ(graph->jobs[0].resources, Resources());
  EXPECT_EQ(graph->jobs[0].resources.ranks(), 1);
  EXPECT_EQ(graph->jobs[0].retry.limit, 2);
  const JobSpec& ant = graph->jobs[1];
  EXPECT_EQ(ant.resources.ranks(), 8);
  EXPECT_EQ(ant.resources.memory.bytes, 2ull << 30);
  EXPECT_EQ(ant.retry.backoff, std::chrono::minutes(1));
  EXPECT_THAT(ant.command, ElementsAre("sh", "-c", "echo ${HOME}"));
  EXPECT_EQ(ant.environment.at("A"), "1");
}

TEST(Parse, JsonIsReadOnTheSameWay) {
  const auto yaml =
      parse_graph("graph: g\njobs: {a: {kind: command, command: [echo, \"\\u00e9 \\\" x\"]}}", "g.yaml");
  const auto json = parse_graph(
      "{\n\t\"graph\": \"g\",\n\t\"jobs\": {\"a\": {\"kind\": \"command\",\n"
      "\t\t\"command\": [\"echo\", \"\\u00e9 \\\" x\"]}}\n}",
      "g.json");
  ASSERT_TRUE(yaml.has_value()) << yaml.error().message;
  ASSERT_TRUE(json.has_value()) << json.error().message;
  EXPECT_EQ(*yaml, *json);
}

TEST(Parse, CanonicalJsonReadsBackTheSame) {
  const auto graph =
      parse_graph(read_file(PADDOCK_SOURCE_DIR "/examples/first-light.yaml"), "first-light.yaml");
  ASSERT_TRUE(graph.has_value()) << graph.error().message;
  const auto again = graph_from_json(Json::parse(to_json(*graph).dump()));
  ASSERT_TRUE(again.has_value()) << again.error().message;
  EXPECT_EQ(*again, *graph);
  const auto damaged =
      graph_from_json(Json{{"name", "g"}, {"tenant", "t"}, {"priority", 0}, {"jobs", {{{"name", "a"}}}}});
  ASSERT_FALSE(damaged.has_value());
  EXPECT_EQ(damaged.error().code, Code::kCorrupt);
}

TEST(Parse, EveryProblemHasItsFileLineAndKey) {
  EXPECT_THAT(
      problems_of(R"(graph: first light
jbos: {}
jobs:
  one:
    kind: comand
  two:
    kind: command
    command: [echo]
    needs: [won]
    retry:
      limit: -1
      backof: 3s
    resources: { memory: 16GB }
  three:
    kind: curate
    with: { min_class: 0, pol: /p }
)"),
      ElementsAre(StartsWith("g.yaml:1: graph: is \"first light\", must be letters, digits and ._-"),
                  StartsWith("g.yaml:2: jbos: is not known; did you mean `jobs`?"),
                  StartsWith("g.yaml:5: jobs.one.kind: is \"comand\", must be one of: "),
                  "g.yaml:9: jobs.two.needs: no job is called \"won\"; there are: one, three, two",
                  "g.yaml:11: jobs.two.retry.limit: is -1, must be a whole number from 0 to 1000",
                  "g.yaml:12: jobs.two.retry.backof: is not known; did you mean `backoff`? Allowed: limit, "
                  "backoff, factor, not_on",
                  "g.yaml:13: jobs.two.resources.memory: is \"16GB\", must be a size like 512MiB or 16GiB "
                  "from 0B to 1024TiB",
                  StartsWith("g.yaml:16: jobs.three.with.min_class: is 0, must be a whole number from 1"),
                  StartsWith("g.yaml:16: jobs.three.with.pol: is not known; did you mean `pool`?"),
                  StartsWith("g.yaml:16: jobs.three.with.pool: is missing, must be text")));
}

TEST(Parse, UnknownNeedsNameTheNearestJob) {
  EXPECT_EQ(only_problem_of("graph: g\njobs:\n  one: {kind: command, command: [a]}\n"
                            "  two: {kind: command, command: [a],\n        needs: [oen]}\n"),
            "g.yaml:5: jobs.two.needs: no job is called \"oen\"; did you mean `one`?");
}

TEST(Parse, CyclesAreNamed) {
  EXPECT_EQ(only_problem_of("graph: g\njobs:\n"
                            "  a: {kind: command, command: [x], needs: [b]}\n"
                            "  b: {kind: command, command: [x, '${c.out}']}\n"
                            "  c: {kind: command, command: [x], needs: [a]}\n"),
            "g.yaml:3: jobs.a.needs: makes a circle: a → b → c → a; must lead from earlier jobs to later "
            "ones only");
}

TEST(Parse, ReferencesAddTheirJobToTheNeeds) {
  const auto graph = parse_graph(
      "graph: g\njobs:\n  data: {kind: curate, with: {pool: /p}}\n"
      "  look: {kind: command, command: [ls, '${data.dataset}/train']}\n",
      "g.yaml");
  ASSERT_TRUE(graph.has_value()) << graph.error().message;
  EXPECT_THAT(graph->jobs[1].needs, ElementsAre("data"));
  EXPECT_THAT(references_of(graph->jobs[1]), ElementsAre(Reference{"data", "dataset"}));
}

TEST(Parse, WrongReferencesSayWhatThereIs) {
  EXPECT_THAT(
      problems_of("graph: g\njobs:\n  data: {kind: curate, with: {pool: /p}}\n"
                  "  look:\n    kind: command\n    command: [ls, '${data.datset}', '${dta.dataset}']\n"
                  "    environment:\n      X: '${look.out}'\n"
                  "  more:\n    kind: curate\n    with:\n      pool: ${data}\n"),
      ElementsAre(
          "g.yaml:6: jobs.look.command: `${data.datset}`: a job of kind curate has no such artifact, must be "
          "one of: dataset; did you mean `dataset`?",
          "g.yaml:6: jobs.look.command: `${dta.dataset}`: no job is called \"dta\"; did you mean `data`?",
          "g.yaml:8: jobs.look.environment.X: `${look.out}` refers to the job itself",
          StartsWith("g.yaml:12: jobs.more.with.pool: `${data}` is not a reference")));
}

TEST(Parse, AScheduleIsATextOrAMap) {
  const std::string jobs = "\njobs: {a: {kind: command, command: [x]}}";
  const auto text = parse_graph("graph: g\nschedule: '0 2 * * *'" + jobs, "g.yaml");
  ASSERT_TRUE(text) << text.error().message;
  ASSERT_TRUE(text->schedule);
  EXPECT_EQ(text->schedule->cron, "0 2 * * *");
  EXPECT_EQ(text->schedule->tz, "UTC");
  const auto map = parse_graph(
      "graph: g\nschedule: {cron: '@daily', tz: Europe/Berlin, missed: all, overlap: queue, deadline: 2h}" +
          jobs,
      "g.yaml");
  ASSERT_TRUE(map) << map.error().message;
  EXPECT_EQ(*map->schedule,
            (GraphSchedule{"@daily", "Europe/Berlin", "all", "queue", Millis(std::chrono::hours(2))}));
  EXPECT_EQ(*graph_from_json(to_json(*map)), *map);
  EXPECT_FALSE(parse_graph("graph: g" + jobs, "g.yaml")->schedule);
}

TEST(Parse, AWrongScheduleSaysWhere) {
  EXPECT_THAT(
      problems_of("graph: g\nschedule:\n  cron: 61 * * * *\n  tz: Europe/Berln\n"
                  "jobs: {a: {kind: command, command: [x]}}"),
      ElementsAre("g.yaml:3: schedule.cron: the minute `61` must be from 0 to 59",
                  HasSubstr("g.yaml:4: schedule.tz: `Europe/Berln` is no time zone of this machine; did you "
                            "mean `Europe/Berlin`?")));
  EXPECT_THAT(problems_of("graph: g\nschedule: {cron: '@daily', overlp: skip, missed: never}\n"
                          "jobs: {a: {kind: command, command: [x]}}"),
              ElementsAre(HasSubstr("schedule.missed: is \"never\", must be one of: skip, latest, all"),
                          HasSubstr("schedule.overlp: is not known; did you mean `overlap`?")));
  EXPECT_THAT(only_problem_of("graph: g\nschedule: 5\njobs: {a: {kind: command, command: [x]}}"),
              StartsWith("g.yaml:2: schedule: is 5, must be a text like `0 2 * * *`"));
}

TEST(Parse, CommandAndWithBelongToTheirKinds) {
  EXPECT_THAT(only_problem_of("graph: g\njobs: {a: {kind: command}}"),
              HasSubstr("jobs.a.command: is missing"));
  EXPECT_THAT(only_problem_of("graph: g\njobs: {a: {kind: command, command: [x], with: {y: 1}}}"),
              HasSubstr("jobs.a.with: is not for jobs of kind command"));
  EXPECT_THAT(only_problem_of("graph: g\njobs: {a: {kind: curate, with: {pool: /p}, command: [x]}}"),
              HasSubstr("jobs.a.command: is only for jobs of kind command"));
}

TEST(Parse, WhatIsNotAGraphIsRefusedWithItsLine) {
  EXPECT_THAT(only_problem_of(""), StartsWith("g.yaml:1: is empty"));
  EXPECT_THAT(only_problem_of("graph: g\njobs: [\n"), StartsWith("g.yaml:3: is not YAML"));
  EXPECT_THAT(only_problem_of("graph: g\ngraph: h\n"), StartsWith("g.yaml:2: key `graph` stands here twice"));
  EXPECT_THAT(only_problem_of("graph: \xff\n"), StartsWith("g.yaml:1: is not UTF-8"));
  EXPECT_THAT(only_problem_of("a: 1\n---\nb: 1\n"), HasSubstr("a second document"));
  EXPECT_THAT(only_problem_of("just text"),
              HasSubstr("must be a map with the keys graph, tenant, priority, jobs"));
  EXPECT_THAT(only_problem_of("a: !python/object x"),
              StartsWith("g.yaml:1: the tag !python/object is not known"));
}

TEST(Parse, HostileTextMeetsABound) {
  EXPECT_THAT(only_problem_of(std::string(limits::kSpecBytesMax + 1, 'a')),
              HasSubstr("must be at most 16777216"));
  EXPECT_THAT(only_problem_of(std::string(100'000, '[')), StartsWith("g.yaml:1: "));
  EXPECT_THAT(only_problem_of(std::string(200, '[') + std::string(200, ']')),
              HasSubstr("nested more than 64 deep"));
  std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
  for (char name = 'b'; name < 'k'; ++name) {
    bomb += std::string(1, name) + ": &" + name + " [";
    for (int i = 0; i < 10; ++i) bomb += std::string(i > 0 ? "," : "") + "*" + static_cast<char>(name - 1);
    bomb += "]\n";
  }
  EXPECT_THAT(only_problem_of(bomb), HasSubstr("aliases expanded"));
  EXPECT_THAT(only_problem_of("a: &a [*a]"), HasSubstr("an alias within its own anchor"));
}

TEST(Parse, ThousandsOfWrongJobsAreToldUpToABound) {
  std::string text = "graph: g\njobs:\n";
  for (int i = 0; i < 10'000; ++i) {
    text += "  j" + std::to_string(i) + ": {kind: commnd, needs: [q" + std::to_string(i) + "]}\n";
  }
  const auto problems = problems_of(text);
  ASSERT_EQ(problems.size(), 201u);
  EXPECT_EQ(problems.back(), "g.yaml: and more problems");
}

TEST(Parse, TheExamplesAreRight) {
  for (const std::string name : {"first-light.yaml", "command.yaml"}) {
    const auto graph = parse_graph(read_file(PADDOCK_SOURCE_DIR "/examples/" + name), name);
    EXPECT_TRUE(graph.has_value()) << graph.error().message;
  }
}

// To renew the file: `paddock schema > docs/job-spec.schema.json`.
TEST(Parse, ThePublishedSchemaIsTheOneOfThisBuild) {
  const bool is_current =
      read_file(PADDOCK_SOURCE_DIR "/docs/job-spec.schema.json") == submission_schema().dump(2) + "\n";
  EXPECT_TRUE(is_current)
      << "docs/job-spec.schema.json is of another build: paddock schema > docs/job-spec.schema.json";
}

}  // namespace
}  // namespace paddock::spec
