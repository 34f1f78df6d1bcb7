#include "jobs/spec/option_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace paddock::spec {
namespace {

struct Head {
  std::int64_t prototypes = 1024;
  double temperature = 0.1;
  bool operator==(const Head&) const = default;
};

struct Options {
  std::string data;
  std::int64_t steps = 600;
  bool is_frozen = false;
  std::string precision = "f32";
  std::vector<double> scale = {0.3, 1.0};
  std::optional<std::int64_t> limit;
  std::map<std::string, std::string> labels;
  Head head;
  bool operator==(const Options&) const = default;
};

const OptionTable<Options>& table() {
  static const auto head = OptionTable<Head>()
                               .optional("prototypes", &Head::prototypes, Between{1, 1'000'000}, "K")
                               .optional("temperature", &Head::temperature, Positive{}, "of the student")
                               .check([](const Head& options, Problems& problems) {
                                 if (options.prototypes == 13)
                                   problems.push_back({"prototypes", "brings bad luck"});
                               });
  static const auto table =
      OptionTable<Options>()
          .required("data", &Options::data, "dataset")
          .optional("steps", &Options::steps, Between{1, 1000}, "optimiser steps")
          .optional("frozen", &Options::is_frozen, "keep the backbone")
          .optional("precision", &Options::precision, OneOf{"f32", "bf16"}, "of the matmuls")
          .optional("scale", &Options::scale, Between{0.0, 1.0}, "of the crops")
          .optional("limit", &Options::limit, Positive{}, "pictures at most")
          .optional("labels", &Options::labels, "free text")
          .group("head", &Options::head, head, "the head");
  return table;
}

std::string message_at(const Problems& problems, std::string_view path) {
  const auto found =
      std::find_if(problems.begin(), problems.end(), [&](const Problem& each) { return each.path == path; });
  return found == problems.end() ? "" : found->message;
}

TEST(OptionTable, WhatIsNotGivenKeepsItsDefault) {
  const auto options = table().parse(Json{{"data", "/d"}, {"head", {{"prototypes", 64}}}});
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(options->steps, 600);
  EXPECT_EQ(options->head.prototypes, 64);
  EXPECT_EQ(options->head.temperature, 0.1);
  EXPECT_EQ(options->limit, std::nullopt);
}

TEST(OptionTable, ResolvedOptionsReadBackTheSame) {
  const Json with{
      {"data", "/d"}, {"steps", 1e2}, {"limit", 5}, {"labels", {{"a", "b"}}}, {"scale", {0, 0.5}}};
  const auto options = table().parse(with);
  ASSERT_TRUE(options.has_value());
  EXPECT_EQ(options->steps, 100);
  const auto again = table().parse(table().to_json(*options));
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(*again, *options);
}

TEST(OptionTable, WithoutDefaultsTheyAreShorterAndReadBackTheSame) {
  const Json with{
      {"data", ""}, {"steps", 600}, {"frozen", true}, {"limit", 5}, {"head", {{"prototypes", 64}}}};
  const auto options = table().parse(with);
  ASSERT_TRUE(options.has_value());
  const Json changed = table().changed_json(*options);
  EXPECT_EQ(changed, (Json{{"data", ""}, {"frozen", true}, {"limit", 5}, {"head", {{"prototypes", 64}}}}));
  EXPECT_EQ(*table().parse(changed), *options);
  EXPECT_EQ(table().changed_json(Options()), (Json{{"data", ""}})) << "what is required is always there";
}

TEST(OptionTable, EveryProblemIsToldAtOnce) {
  const auto options =
      table().parse(Json{{"stepps", 5},
                         {"steps", 0},
                         {"frozen", "yes"},
                         {"precision", "f16"},
                         {"scale", {0.5, 2.0}},
                         {"head", {{"prototypes", 1.5}, {"temperature", 0}, {"prototype", 1}}}});
  ASSERT_FALSE(options.has_value());
  const Problems& problems = options.error();
  EXPECT_EQ(problems.size(), 9u);
  EXPECT_EQ(message_at(problems, "data"), "is missing, must be text (dataset)");
  EXPECT_EQ(message_at(problems, "steps"), "is 0, must be a whole number from 1 to 1000");
  EXPECT_THAT(message_at(problems, "stepps"), ::testing::StartsWith("is not known; did you mean `steps`?"));
  EXPECT_EQ(message_at(problems, "frozen"), "is \"yes\", must be true or false");
  EXPECT_EQ(message_at(problems, "precision"), "is \"f16\", must be one of: f32, bf16");
  EXPECT_EQ(message_at(problems, "scale"),
            "is [0.5,2.0], must be a list, each element a number from 0.0 to 1.0");
  EXPECT_EQ(message_at(problems, "head.prototypes"), "is 1.5, must be a whole number from 1 to 1000000");
  EXPECT_EQ(message_at(problems, "head.temperature"), "is 0, must be a number greater than 0");
  EXPECT_THAT(message_at(problems, "head.prototype"), ::testing::HasSubstr("did you mean `prototypes`?"));
}

TEST(OptionTable, ChecksOfAGroupCarryItsPath) {
  const auto options = table().parse(Json{{"data", "/d"}, {"head", {{"prototypes", 13}}}});
  ASSERT_FALSE(options.has_value());
  EXPECT_EQ(options.error(), (Problems{{"head.prototypes", "brings bad luck"}}));
}

TEST(OptionTable, SchemaSaysTypesBoundsDefaultsAndWhatIsRequired) {
  const Json schema = table().json_schema();
  EXPECT_EQ(schema["required"], Json({"data"}));
  EXPECT_EQ(schema["additionalProperties"], false);
  EXPECT_EQ(schema["properties"]["steps"], (Json{{"type", "integer"},
                                                 {"minimum", 1},
                                                 {"maximum", 1000},
                                                 {"default", 600},
                                                 {"description", "optimiser steps"}}));
  EXPECT_EQ(schema["properties"]["head"]["properties"]["prototypes"]["default"], 1024);
}

TEST(OptionTable, SomethingElseThanAMapIsRefused) {
  for (const Json& with : {Json(), Json(3), Json("text"), Json::array()}) {
    EXPECT_FALSE(table().parse(with).has_value());
  }
}

}  // namespace
}  // namespace paddock::spec
