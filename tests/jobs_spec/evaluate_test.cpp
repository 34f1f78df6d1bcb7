#include "jobs/spec/evaluate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace paddock::spec {
namespace {

using testing::HasSubstr;

Problems problems_of(const std::string& model) {
  const auto options = evaluate_table().parse(Json{{"data", "/d"}, {"models", {{model, "/checkpoint"}}}});
  return options ? Problems{} : options.error();
}

// Names become names of files, and stand beside those of the baselines, which have spaces in them.
TEST(EvaluateOptions, ModelsHaveNamesThatAreFileNames) {
  for (const char* good : {"vit", "vit_at_step_0", "ViT-S.14", "raw_pixels", "-", "7"})
    EXPECT_TRUE(problems_of(good).empty()) << good;
  for (const std::string bad :
       {"raw pixels", "vit at step 0", "a/b", "..", ".hidden", "", "ärger", "a+b", "a\nb"}) {
    const Problems problems = problems_of(bad);
    ASSERT_EQ(problems.size(), 1u) << bad;
    EXPECT_THAT(problems[0].path, HasSubstr("models")) << bad;
    EXPECT_THAT(problems[0].message, HasSubstr("is not a name, must be letters, digits and ._-")) << bad;
  }
  EXPECT_EQ(problems_of(std::string(101, 'a')).size(), 1u);
}

}  // namespace
}  // namespace paddock::spec
