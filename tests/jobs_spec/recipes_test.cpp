#include "jobs/spec/recipes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "jobs/spec/parse.h"
#include "jobs/spec/training_summary.h"

namespace paddock::spec {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// What only a job can say, for any kind.
Json filled(const JobKind& kind, Json with) {
  for (const Json& key : kind.schema().value("required", Json::array()))
    with[key.get<std::string>()] = "/somewhere";
  return with;
}

// The options of a recipe with all defaults.
Json resolved_options(const std::string& name) {
  const Recipe* recipe = find_recipe(name);
  if (recipe == nullptr) {
    ADD_FAILURE() << "there is no recipe " << name;
    return Json::object();
  }
  const JobKind* kind = find_job_kind(recipe->kind);
  const auto options = resolve_options(*kind, filled(*kind, {{"recipe", name}}));
  if (!options) {
    ADD_FAILURE() << name << ": " << options.error().front().path << ": " << options.error().front().message;
    return Json::object();
  }
  return *options;
}

// "schedule.steps" → 125000 for every value in the map.
void leaves_of(const Json& map, const std::string& path, std::map<std::string, Json>& leaves) {
  for (const auto& [key, value] : map.items()) {
    if (value.is_object())
      leaves_of(value, join_path(path, key), leaves);
    else
      leaves[join_path(path, key)] = value;
  }
}

std::map<std::string, Json> leaves_of(const Json& map) {
  std::map<std::string, Json> leaves;
  leaves_of(map, "", leaves);
  return leaves;
}

void expect_values(const std::string& name, const Json& expected) {
  const auto options = leaves_of(resolved_options(name));
  for (const auto& [path, value] : leaves_of(expected)) {
    const auto found = options.find(path);
    if (found == options.end())
      ADD_FAILURE() << name << " has no " << path;
    else
      EXPECT_EQ(found->second, value) << name << ": " << path;
  }
}

TEST(Recipes, EachIsAllowedByItsKind) {
  std::set<std::string> names;
  for (const Recipe& recipe : recipes()) {
    names.insert(recipe.name);
    EXPECT_FALSE(recipe.about.empty()) << recipe.name;
    EXPECT_EQ(recipe.about.find('\n'), std::string::npos) << recipe.name;
    EXPECT_FALSE(resolved_options(recipe.name).contains("recipe")) << recipe.name;
  }
  for (const char* name :
       {"vits14-short", "vitb14", "vitl16-short", "vitl14", "vitg14", "distill-vits14", "distill-vitb14",
        "distill-vitl14", "distill-all", "cifar10-cpu", "distill-cifar10-cpu", "vits14-1gpu", "adapt-518"})
    EXPECT_TRUE(names.contains(name)) << name;
}

TEST(Recipes, EveryFileIsPartOfTheProgram) {
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(PADDOCK_SOURCE_DIR "/recipes")) {
    if (entry.path().extension() == ".yaml") files.insert(entry.path().stem());
  }
  const auto names = recipe_names();
  EXPECT_EQ(files, std::set<std::string>(names.begin(), names.end()));
}

TEST(Recipes, EveryLineDiffersFromTheParent) {
  for (const Recipe& recipe : recipes()) {
    if (recipe.parent.empty()) continue;
    const Recipe* parent = find_recipe(recipe.parent);
    ASSERT_NE(parent, nullptr);
    if (parent->kind != recipe.kind) continue;
    const auto before = leaves_of(resolved_options(recipe.parent));
    for (const auto& [path, value] : leaves_of(recipe.own))
      EXPECT_FALSE(before.contains(path) && before.at(path) == value)
          << recipe.name << " repeats " << path << " of " << recipe.parent;
  }
}

TEST(Recipes, NoneHasAWarning) {
  for (const Recipe& recipe : recipes()) {
    TrainingFacts facts;
    facts.frozen_teacher = NetworkSize{};  // of whom a distillation takes the numbers of prototypes
    facts.frozen_teacher->dino_head.prototypes =
        recipe.name == "distill-cifar10-cpu"
            ? resolved_options("cifar10-cpu")["heads"]["dino"]["prototypes"].get<std::int64_t>()
            : 131'072;
    const auto summary = summarize_training(recipe.kind, resolved_options(recipe.name), facts);
    ASSERT_TRUE(summary.has_value()) << recipe.name;
    EXPECT_THAT(summary->warnings, IsEmpty()) << recipe.name;
  }
}

// The official code's configurations: an official epoch is 1,250 steps.
TEST(Recipes, VitlLongIsThePublishedOne) {
  expect_values("vitl14", Json::parse(R"({
    "batch_size": 3072, "shards": 96,
    "backbone": {"arch": "vit_large", "patch_size": 14, "registers": 0, "ffn": "swiglu", "layerscale": 1e-5,
                 "drop_path": 0.4},
    "crops": {"global_size": 224, "local_size": 98, "local_count": 8, "global_scale": [0.32, 1.0],
              "local_scale": [0.05, 0.32]},
    "heads": {"dino": {"prototypes": 131072, "hidden": 2048, "bottleneck": 384, "layers": 3}, "separate": true,
              "ibot": {"prototypes": 131072, "hidden": 2048, "bottleneck": 256, "layers": 3}},
    "loss": {"dino_weight": 1.0, "ibot_weight": 1.0, "koleo_weight": 0.1, "centering": "sinkhorn_knopp"},
    "mask_probability": 0.5, "mask_ratio": [0.1, 0.5],
    "schedule": {"steps": 625000, "warmup_steps": 100000, "base_lr": 2e-4, "min_lr": 1e-6,
                 "weight_decay_start": 0.04, "weight_decay_end": 0.2, "momentum_start": 0.994,
                 "teacher_temperature_start": 0.04, "teacher_temperature_end": 0.07,
                 "teacher_temperature_steps": 37500, "freeze_last_layer_steps": 1250, "clip": 3.0,
                 "layerwise_decay": 1.0, "patch_embed_lr_mult": 0.2}})"));
}

TEST(Recipes, VitgIsVitlButLarger) {
  Json expected = resolved_options("vitl14");
  expected["backbone"]["arch"] = "vit_giant2";
  expected["shards"] = 256;
  expected["run"]["weights"] = "sliced";
  EXPECT_EQ(resolved_options("vitg14"), expected);
}

TEST(Recipes, VitsShortHasThePublishedShortSchedule) {
  expect_values("vits14-short", Json::parse(R"({
    "batch_size": 2048, "shards": 32,
    "backbone": {"arch": "vit_small", "patch_size": 14, "registers": 0, "ffn": "mlp", "layerscale": 1e-5,
                 "drop_path": 0.1},
    "crops": {"global_size": 224, "local_size": 98, "local_count": 8, "global_scale": [0.32, 1.0],
              "local_scale": [0.05, 0.32]},
    "heads": {"dino": {"prototypes": 65536, "hidden": 2048, "bottleneck": 256, "layers": 3}, "separate": false},
    "loss": {"dino_weight": 1.0, "ibot_weight": 1.0, "koleo_weight": 0.1, "centering": "softmax"},
    "mask_probability": 0.5, "mask_ratio": [0.1, 0.5],
    "schedule": {"steps": 125000, "warmup_steps": 12500, "base_lr": 4e-3, "min_lr": 1e-6,
                 "weight_decay_start": 0.04, "weight_decay_end": 0.4, "momentum_start": 0.992,
                 "teacher_temperature_start": 0.04, "teacher_temperature_end": 0.07,
                 "teacher_temperature_steps": 37500, "freeze_last_layer_steps": 1250, "clip": 3.0,
                 "layerwise_decay": 0.9, "patch_embed_lr_mult": 0.2}})"));
  const Json backbone = resolved_options("vitl16-short")["backbone"];
  EXPECT_EQ(backbone["arch"], "vit_large");
  EXPECT_EQ(backbone["patch_size"], 16);
  EXPECT_EQ(backbone["drop_path"], .3);
}

// The paper: 10,000 steps, all schedules compressed into them, 518 pixels, the learning rate reduced, all
// else as it was.
TEST(Recipes, TheAdaptationIsTheLongRunCompressed) {
  const Json adapted = resolved_options("adapt-518"), trained = resolved_options("vitl14");
  EXPECT_EQ(adapted["crops"]["global_size"], 518);
  EXPECT_EQ(adapted["schedule"]["steps"], 10'000);
  const double compression = 10'000.0 / trained["schedule"]["steps"].get<double>();
  for (const char* key : {"warmup_steps", "teacher_temperature_steps", "freeze_last_layer_steps"})
    EXPECT_EQ(adapted["schedule"][key].get<double>(), trained["schedule"][key].get<double>() * compression)
        << key;
  EXPECT_LT(adapted["schedule"]["base_lr"], trained["schedule"]["base_lr"]);
  EXPECT_EQ(adapted["batch_size"], trained["batch_size"]);
  EXPECT_EQ(adapted["backbone"]["drop_path"], trained["backbone"]["drop_path"]);
  for (const char* group : {"heads", "loss", "augment", "mask_probability", "mask_ratio"})
    EXPECT_EQ(adapted[group], trained[group]) << group;
}

TEST(Recipes, LearningRatesAreThePublishedOnesAtThePublishedBatches) {
  const std::map<std::string, double> published{{"vitl16-short", 5.66e-3}, {"vitl14", 3.46e-4},
                                                {"vitg14", 3.46e-4},       {"distill-vits14", 1e-3},
                                                {"distill-vitb14", 1e-3},  {"distill-vitl14", 1e-3}};
  for (const auto& [name, rate] : published) {
    const auto summary = summarize_training(find_recipe(name)->kind, resolved_options(name), {});
    ASSERT_TRUE(summary.has_value());
    EXPECT_NEAR(summary->peak_learning_rate, rate, .002 * rate) << name;
  }
}

TEST(Recipes, WhatIsGivenLiesOverTheRecipe) {
  const auto merge = with_recipe("pretrain", {{"recipe", "vitl14"},
                                              {"data", "/d"},
                                              {"batch_size", 64},
                                              {"crops", {{"local_scale", {.1, .2}}}},
                                              {"schedule", {{"steps", 200'000}}}});
  ASSERT_TRUE(merge.has_value());
  EXPECT_EQ((*merge)["data"], "/d");
  EXPECT_EQ((*merge)["batch_size"], 64);
  EXPECT_EQ((*merge)["schedule"]["steps"], 200'000);
  EXPECT_EQ((*merge)["schedule"]["warmup_steps"], 100'000);
  EXPECT_EQ((*merge)["crops"]["local_scale"], Json({.1, .2}));
  EXPECT_EQ((*merge)["crops"]["local_size"], 98);
  EXPECT_FALSE(merge->contains("recipe"));
}

TEST(Recipes, WithoutARecipeNothingChanges) {
  const Json with{{"data", "/d"}, {"batch_size", 64}};
  EXPECT_EQ(with_recipe("pretrain", with), with);
  EXPECT_EQ(with_recipe("pretrain", Json(3)), Json(3));
}

std::string problem_of(std::string_view kind, const Json& recipe) {
  const auto merge = with_recipe(kind, {{"recipe", recipe}, {"data", "/d"}});
  EXPECT_FALSE(merge.has_value());
  if (merge) return "";
  EXPECT_EQ(merge.error().size(), 1u);
  EXPECT_EQ(merge.error().front().path, "recipe");
  return merge.error().front().message;
}

TEST(Recipes, UnknownNamesAreRefusedWithThoseThereAre) {
  EXPECT_EQ(problem_of("distill", "distil-vits14"),
            "is \"distil-vits14\", must be one of: distill-all, distill-cifar10-cpu, distill-vitb14, "
            "distill-vitl14, "
            "distill-vits14; did you mean "
            "`distill-vits14`?");
  EXPECT_THAT(
      problem_of("pretrain", "distill-vits14"),
      HasSubstr("is \"distill-vits14\", which is for jobs of kind distill; must be one of: cifar10-cpu, "));
  EXPECT_THAT(problem_of("evaluate", "vitl14"), HasSubstr("there are no recipes for jobs of kind evaluate"));
  EXPECT_THAT(problem_of("pretrain", 14), HasSubstr("is 14, must be one of: "));
}

TEST(Recipes, AGraphIsRefusedAtTheLineOfTheRecipe) {
  const auto graph =
      parse_graph("graph: g\njobs:\n  a:\n    kind: pretrain\n    with:\n      recipe: vitl15\n", "g.yaml");
  ASSERT_FALSE(graph.has_value());
  EXPECT_THAT(graph.error().message,
              HasSubstr("g.yaml:6: jobs.a.with.recipe: is \"vitl15\", must be one of: "));
  EXPECT_THAT(graph.error().message, HasSubstr("did you mean `vitl14`?"));
}

TEST(Recipes, AGraphHoldsResolvedOptionsAlone) {
  const auto graph = parse_graph(
      "graph: g\njobs:\n  c: { kind: curate, with: { pool: /p } }\n"
      "  a: { kind: pretrain, with: { recipe: vitl14, data: '${c.dataset}', schedule: { steps: 200000 } } "
      "}\n",
      "g.yaml");
  ASSERT_TRUE(graph.has_value()) << graph.error().message;
  Json expected = resolved_options("vitl14");
  expected["data"] = "${c.dataset}";
  expected["schedule"]["steps"] = 200'000;
  EXPECT_EQ(graph->jobs[1].with, expected);
  EXPECT_THAT(graph->jobs[1].needs, ElementsAre("c"));
}

TEST(Recipes, AProblemWithAValueOfTheRecipeNamesTheRecipe) {
  const auto graph = parse_graph(
      "graph: g\njobs:\n  a:\n    kind: pretrain\n    with:\n      recipe: vitl14\n      data: /d\n"
      "      schedule: { steps: 1000 }\n",
      "g.yaml");
  ASSERT_FALSE(graph.has_value());
  EXPECT_EQ(graph.error().message,
            "g.yaml:8: jobs.a.with.schedule.warmup_steps: is 100000, must be below schedule.steps (1000) "
            "(its value is that "
            "of the recipe vitl14)");
}

TEST(Recipes, TheSchemaKnowsThemByKind) {
  const Json schema = submission_schema();
  std::map<std::string, Json> enums;
  for (const Json& each : schema["properties"]["jobs"]["additionalProperties"]["allOf"]) {
    const Json& properties = each["then"]["properties"]["with"]["properties"];
    if (properties.contains("recipe"))
      enums[each["if"]["properties"]["kind"]["const"]] = properties["recipe"]["enum"];
  }
  EXPECT_EQ(enums["distill"], Json({"distill-all", "distill-cifar10-cpu", "distill-vitb14", "distill-vitl14",
                                    "distill-vits14"}));
  EXPECT_TRUE(enums.contains("pretrain"));
  EXPECT_FALSE(enums.contains("evaluate"));
}

std::string error_of(const RecipeTexts& texts) {
  const auto read = read_recipes(texts);
  EXPECT_FALSE(read.has_value());
  return read ? "" : read.error().message;
}

TEST(ReadRecipes, ParentsAreFollowedToTheirEnd) {
  const auto read =
      read_recipes({{"a", "about: A\nkind: pretrain\nwith: { batch_size: 8, crops: { local_count: 2 } }\n"},
                    {"b", "about: B\nparent: a\nwith: { crops: { local_size: 28 } }\n"},
                    {"c", "about: C\nparent: b\nwith: { batch_size: 16 }\n"}});
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ((*read)[2].kind, "pretrain");
  EXPECT_EQ((*read)[2].with,
            Json::parse(R"({"batch_size": 16, "crops": {"local_count": 2, "local_size": 28}})"));
  EXPECT_EQ((*read)[2].own, Json::parse(R"({"batch_size": 16})"));
}

TEST(ReadRecipes, BadOnesAreNamed) {
  const std::string good = "about: A\nkind: pretrain\nwith: {}\n";
  EXPECT_EQ(error_of({{"a", "about: A\nparent: z\nwith: {}\n"}}), "a.yaml: parent: there is no recipe z");
  EXPECT_EQ(error_of({{"a", "about: A\nparent: b\nwith: {}\n"}, {"b", "about: B\nparent: a\nwith: {}\n"}}),
            "a.yaml: parent: makes a circle: a → b → a");
  EXPECT_EQ(error_of({{"a", "about: A\nparent: b\nwith: {}\n"},
                      {"b", "about: B\nparent: b\nkind: pretrain\nwith: {}\n"}}),
            "a.yaml: parent: makes a circle: a → b → b");
  EXPECT_EQ(error_of({{"a", "about: A\nwith: {}\n"}}),
            "a.yaml:1: kind: is missing, must be given where there is no parent");
  EXPECT_THAT(error_of({{"a", good}, {"b", "about: B\nkind: pretrian\nwith: {}\n"}}),
              HasSubstr("b.yaml:2: kind: is \"pretrian\", must be one of: "));
  EXPECT_THAT(error_of({{"a", "about: A\nkind: pretrain\nwiht: {}\n"}}),
              HasSubstr("a.yaml:3: wiht: is not known"));
  EXPECT_THAT(error_of({{"a", "about: A: B\nkind: pretrain\n"}}), HasSubstr("a.yaml:1: is not YAML"));
}

}  // namespace
}  // namespace paddock::spec
