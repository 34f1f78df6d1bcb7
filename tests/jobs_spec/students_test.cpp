// Several students of one distillation: what may be asked, what it stands for, what other jobs may refer to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "jobs/spec/distill.h"
#include "jobs/spec/parse.h"
#include "jobs/spec/recipes.h"
#include "jobs/spec/training_summary.h"

namespace paddock::spec {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Json two_students() {
  return Json::parse(R"({
    "data": "/d", "teacher": "/t", "dino_head": {"hidden": 512, "bottleneck": 64},
    "students": {"small": {"arch": "vit_small"},
                 "wide": {"arch": "vit_base", "dino_head": {"hidden": 1024}, "ibot_head": {"layers": 2}}}})");
}

Problems problems_of(const Json& with) {
  const auto options = distill_table().parse(with);
  return options ? Problems{} : options.error();
}

TEST(Students, OfOneJobHaveTheirOwnHeadsOverThoseOfTheJob) {
  const auto options = distill_table().parse(two_students());
  ASSERT_TRUE(options.has_value()) << options.error().front().message;
  const auto students = students_of(*options);
  ASSERT_EQ(students.size(), 2u);
  EXPECT_EQ(students.at("small").dino_head.hidden, 512);
  EXPECT_EQ(students.at("small").dino_head.bottleneck, 64);
  EXPECT_EQ(students.at("wide").backbone.arch, "vit_base");
  EXPECT_EQ(students.at("wide").dino_head.hidden, 1'024);
  EXPECT_EQ(students.at("wide").dino_head.bottleneck, 64);
  EXPECT_EQ(students.at("wide").ibot_head.layers, 2);
}

// The coordinator resolves options when they are submitted and again when the job starts.
TEST(Students, ResolvedOptionsReadBackTheSame) {
  const JobKind& kind = *find_job_kind("distill");
  const auto resolved = kind.resolve(two_students());
  ASSERT_TRUE(resolved.has_value());
  EXPECT_FALSE(resolved->contains("student") || resolved->contains("dino_head") ||
               resolved->contains("ibot_head"));
  EXPECT_EQ((*resolved)["students"]["small"]["dino_head"]["hidden"], 512);
  EXPECT_EQ(*kind.resolve(*resolved), *resolved);
}

// Otherwise the stage keys of all distillations so far would be others.
TEST(Students, AJobOfOneStudentHasTheOptionsItAlwaysHad) {
  const auto resolved = find_job_kind("distill")->resolve(
      {{"data", "/d"}, {"teacher", "/t"}, {"student", {{"arch", "vit_base"}}}});
  ASSERT_TRUE(resolved.has_value());
  std::vector<std::string> keys;
  for (const auto& [key, value] : resolved->items()) keys.push_back(key);
  EXPECT_THAT(keys, ElementsAre("augment", "batch_size", "crops", "data", "data_test", "dino_head",
                                "heldout_fraction", "ibot_head", "loss", "run", "schedule", "seed", "shards",
                                "student", "teacher"));
  EXPECT_FALSE((*resolved)["student"].contains("dino_head"));
}

TEST(Students, AreGivenInsteadOfOne) {
  Json with = two_students();
  with["student"] = {{"arch", "vit_small"}};
  EXPECT_EQ(problems_of(with),
            (Problems{{"students", "stands beside `student`, must be given instead of it"}}));
  const Json schema = distill_table().json_schema();
  EXPECT_EQ(schema["allOf"], Json::parse(R"([{"not": {"required": ["students", "student"]}}])"));
}

TEST(Students, AreRefusedWithTheirNamesAndKeys) {
  Json with = two_students();
  with["students"]["wide"]["dpeth"] = 3;
  with["students"]["vit.s"] = Json::object();
  const auto problems = problems_of(with);
  ASSERT_EQ(problems.size(), 2u);
  EXPECT_EQ(problems[0].path, "students");
  EXPECT_THAT(problems[0].message, HasSubstr("has the name \"vit.s\", must be letters, digits, - and _"));
  EXPECT_EQ(problems[1].path, "students.wide.dpeth");
  EXPECT_THAT(problems[1].message, HasSubstr("did you mean `depth`?"));
  with = two_students();
  with["students"] = Json::object();
  EXPECT_THAT(problems_of(with).front().message, HasSubstr("must be a map from 1 to 16 names"));
  with = two_students();
  with["students"]["wide"]["patch_size"] = 7;
  with["students"]["small"]["drop_path"] = .1;
  EXPECT_EQ(problems_of(with),
            (Problems{{"students.wide.patch_size",
                       "is 7, must be that of students.small (14): all are compared with one teacher"},
                      {"students.small.drop_path", "must be 0: distillation uses no stochastic depth"}}));
  with = two_students();
  with["crops"] = {{"global_size", 225}};
  ASSERT_EQ(problems_of(with).size(), 1u);  // told once, not once a student
  EXPECT_EQ(problems_of(with).front().message,
            "is 225, must be a multiple of students.small.patch_size (14)");
  with["students"]["wide"]["arch"] = "custom";
  with["students"]["wide"]["embed_dim"] = 33;
  with["students"]["wide"]["heads"] = 2;
  EXPECT_EQ(problems_of(with).front().path, "students.wide.embed_dim");
}

TEST(Students, TakeThePlaceOfTheRecipesOne) {
  const JobKind& kind = *find_job_kind("distill");
  Json with = two_students();
  with["recipe"] = "distill-vitb14";
  const auto several = resolve_options(kind, with);
  ASSERT_TRUE(several.has_value()) << several.error().front().message;
  EXPECT_EQ((*several)["students"].size(), 2u);
  EXPECT_EQ((*several)["students"]["small"]["ibot_head"]["bottleneck"], 256);
  const auto one = resolve_options(
      kind,
      {{"recipe", "distill-all"}, {"data", "/d"}, {"teacher", "/t"}, {"student", {{"arch", "vit_tiny"}}}});
  ASSERT_TRUE(one.has_value()) << one.error().front().message;
  EXPECT_FALSE(one->contains("students"));
  EXPECT_EQ((*one)["student"]["arch"], "vit_tiny");
}

// One line of problems of a job that refers to `artifact` of a distillation.
std::string problem_of_reference(const std::string& options, const std::string& artifact) {
  const auto graph =
      parse_graph("graph: g\njobs:\n  distill: { kind: distill, with: { data: /d, " + options +
                      " } }\n  look: { kind: command, command: [ls, \"${distill." + artifact + "}\"] }\n",
                  "g.yaml");
  return graph ? "" : graph.error().message;
}

TEST(Students, EachHasACheckpointThatOtherJobsReferTo) {
  const std::string several = "teacher: /t, students: { vits14: {}, vitb14: { arch: vit_base } }";
  const std::string recipe = "teacher: /t, recipe: distill-all";
  const std::string one = "teacher: /t";
  for (const std::string& options : {several, recipe}) {
    for (const char* artifact : {"checkpoint-vits14", "checkpoint-vitb14", "run"})
      EXPECT_EQ(problem_of_reference(options, artifact), "") << options;
    EXPECT_THAT(
        problem_of_reference(options, "checkpoint"),
        HasSubstr("`${distill.checkpoint}`: the job makes one for each of its students, must be one of: "
                  "checkpoint-vitb14, checkpoint-vits14"));
    EXPECT_THAT(problem_of_reference(options, "checkpoint-vits4"),
                HasSubstr("a job of kind distill has no such artifact, must be one of: checkpoint-vitb14, "
                          "checkpoint-vits14, run; did you mean `checkpoint-vits14`?"));
  }
  EXPECT_EQ(problem_of_reference(one, "checkpoint"), "");
  EXPECT_THAT(problem_of_reference(one, "checkpoint-vits14"),
              HasSubstr("must be one of: checkpoint, run; did you mean `checkpoint`?"));
  // Of options that are wrong only that is told.
  EXPECT_THAT(problem_of_reference("teacher: /t, students: 3", "checkpoint-a"),
              testing::Not(HasSubstr("artifact")));
}

TEST(Students, AMatrixOverTheirNamesRefersToEach) {
  const auto graph = parse_graph(R"(graph: g
jobs:
  distill: { kind: distill, with: { recipe: distill-all, data: /d, teacher: /t } }
  look:
    kind: command
    matrix: { student: [vits14, vitb14] }
    command: [ls, "${distill.checkpoint-${matrix.student}}"]
)",
                                 "g.yaml");
  ASSERT_TRUE(graph.has_value()) << graph.error().message;
  ASSERT_EQ(graph->jobs.size(), 3u);
  EXPECT_EQ(graph->jobs[1].command.back(), "${distill.checkpoint-vits14}");
  EXPECT_THAT(graph->jobs[1].needs, ElementsAre("distill"));
}

TEST(Students, AreAllCountedAndTheirTeacherOnce) {
  TrainingFacts facts;
  facts.frozen_teacher.emplace();
  facts.frozen_teacher->backbone.arch = "vit_large";
  facts.frozen_teacher->backbone = resolved(facts.frozen_teacher->backbone);
  facts.frozen_teacher->dino_head = {1'000, 512, 64, 3};
  const Json both = two_students();
  const auto alone = [&](const char* name) {
    Json with = both;
    with.erase("students");
    with["student"] = both["students"][name];
    for (const char* head : {"dino_head", "ibot_head"}) {
      if (!with["student"].contains(head)) continue;
      with[head].merge_patch(with["student"][head]);
      with["student"].erase(head);
    }
    return *summarize_training("distill", with, facts)->sizes;
  };
  const auto small = alone("small"), wide = alone("wide");
  const auto summary = *summarize_training("distill", both, facts);
  const TrainingSizes& sizes = *summary.sizes;
  EXPECT_EQ(sizes.backbone_parameters, small.backbone_parameters + wide.backbone_parameters);
  EXPECT_EQ(sizes.students.at("wide").backbone_parameters, wide.backbone_parameters);
  EXPECT_EQ(sizes.students.at("wide").heads_parameters, wide.heads_parameters);
  EXPECT_EQ(sizes.teacher_tokens, small.teacher_tokens);
  const NetworkSize& teacher = *facts.frozen_teacher;
  const double weights = 4.0 * static_cast<double>(backbone_parameters(teacher) + heads_parameters(teacher));
  EXPECT_DOUBLE_EQ(sizes.memory.weights, small.memory.weights + wide.memory.weights - weights);
  EXPECT_DOUBLE_EQ(sizes.memory.gradients, small.memory.gradients + wide.memory.gradients);
  EXPECT_DOUBLE_EQ(sizes.memory.optimiser, small.memory.optimiser + wide.memory.optimiser);
  EXPECT_EQ(sizes.memory.pictures, small.memory.pictures);
  EXPECT_EQ(sizes.memory.targets, wide.memory.targets);
  EXPECT_EQ(sizes.memory.activations, std::max(small.memory.activations, wide.memory.activations));
  const double patches = 512;
  const double teacher_flops =
      2 * (block_flops(teacher.backbone, 224) + embedding_flops(teacher.backbone, 224)) +
      (2 + patches) * head_flops(teacher.dino_head, 1'024);
  EXPECT_NEAR(sizes.flops_a_picture / (small.flops_a_picture + wide.flops_a_picture - teacher_flops), 1,
              1e-9);
  const std::string text = to_text(summary);
  EXPECT_THAT(text, HasSubstr("networks  small: backbone 21.6 M parameters, heads "));
  EXPECT_THAT(text, HasSubstr("; wide: backbone 85.7 M parameters, heads "));
  EXPECT_THAT(text, HasSubstr("; together: backbone 107 M parameters, heads "));
  EXPECT_EQ(to_json(summary)["sizes"]["students"]["small"]["tokens"], 914);
}

}  // namespace
}  // namespace paddock::spec
