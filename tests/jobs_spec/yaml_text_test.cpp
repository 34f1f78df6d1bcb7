#include "jobs/spec/yaml_text.h"

#include <gtest/gtest.h>

#include "jobs/spec/document.h"
#include "jobs/spec/number_text.h"

namespace paddock::spec {
namespace {

TEST(YamlText, IsReadBackTheSame) {
  const Json value = Json::parse(R"({
    "a": {"b": [0.32, 1.0], "c": {}, "d": [], "e": null, "deep": {"er": {"est": -3}}},
    "numbers": [1, 1.0, 1e-06, 0.1, 1e300, -2, 9223372036854775807],
    "texts": ["plain", "true", "null", "1e5", "e5", "", "a b", "a: b", "# c", "${curate.dataset}", "ü", "\"'\\\n", "-", "~"],
    "true": true, "x y": "z", "1": "one"})");
  const auto document = read_document(to_yaml(value), "text");
  ASSERT_TRUE(document.has_value()) << document.error().message << "\n" << to_yaml(value);
  EXPECT_EQ(document->value, value) << to_yaml(value);
  EXPECT_EQ(read_document("with:\n" + to_yaml(value, 2), "text")->value["with"], value);
}

TEST(YamlText, ReadsAsAPersonWouldWriteIt) {
  EXPECT_EQ(to_yaml({{"kind", "pretrain"}, {"crops", {{"global_scale", {.32, 1.0}}, {"local_size", 98}}}}),
            "crops:\n  global_scale: [0.32, 1.0]\n  local_size: 98\nkind: pretrain\n");
}

TEST(NumberText, ReadsAsAPersonWouldWriteIt) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1'000), "1,000");
  EXPECT_EQ(grouped(1'281'167), "1,281,167");
  EXPECT_EQ(grouped(-256'000'000), "-256,000,000");
  EXPECT_EQ(short_number(.00565685), "0.00566");
  EXPECT_EQ(short_number(199.815, 4), "199.8");
  EXPECT_EQ(with_prefix(7), "7");
  EXPECT_EQ(with_prefix(22'056'576), "22.1 M");
  EXPECT_EQ(with_prefix(1.657e11), "166 G");
  EXPECT_EQ(with_prefix(999'600), "1.00 M");
  EXPECT_EQ(gibibytes(12.34 * (1u << 30)), "12.3");
  EXPECT_EQ(gibibytes(.5 * (1u << 30)), "0.50");
}

}  // namespace
}  // namespace paddock::spec
