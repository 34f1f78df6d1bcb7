#include "jobs/spec/references.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace paddock::spec {
namespace {

using ::testing::ElementsAre;

const ReferenceValues kValues = {{{"a", "dataset"}, "/store/a"}, {{"a.b", "run"}, "/store/ab"}};

TEST(References, AreFoundInOrder) {
  const auto found = references_in("x ${a.dataset} ${a.b.run}${a.dataset}", Place::kOptions);
  ASSERT_TRUE(found.has_value());
  EXPECT_THAT(*found,
              ElementsAre(Reference{"a", "dataset"}, Reference{"a.b", "run"}, Reference{"a", "dataset"}));
}

TEST(References, AreReplacedByTheirValues) {
  EXPECT_EQ(*substitute("${a.dataset}/train:${a.b.run}", Place::kOptions, kValues),
            "/store/a/train:/store/ab");
  const auto with = substitute(
      Json{{"data", "${a.dataset}"}, {"list", {"${a.b.run}", 3, {{"x", "${a.dataset}"}}}}}, kValues);
  ASSERT_TRUE(with.has_value());
  EXPECT_EQ(*with, (Json{{"data", "/store/a"}, {"list", {"/store/ab", 3, {{"x", "/store/a"}}}}}));
}

TEST(References, TheShellsVariablesStayInCommands) {
  EXPECT_EQ(*substitute("${HOME} ${a.dataset} ${x%.*} $${a.dataset} ${", Place::kCommand, kValues),
            "${HOME} /store/a ${x%.*} ${a.dataset} ${");
}

TEST(References, MalformedOnesAreRefusedInOptions) {
  for (const char* text : {"${a}", "${a.}", "${.b}", "${a b.c}", "${a.b", "${}"}) {
    const auto found = references_in(text, Place::kOptions);
    ASSERT_FALSE(found.has_value()) << text;
    EXPECT_EQ(found.error().code, Code::kInvalid);
  }
  EXPECT_EQ(*substitute("$${a}", Place::kOptions, kValues), "${a}");
}

TEST(References, AMissingArtifactIsNotFound) {
  JobSpec job;
  job.name = "look";
  job.command = {"ls", "${gone.dataset}"};
  const auto result = substitute(job, kValues);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, Code::kNotFound);
  EXPECT_EQ(result.error().message, "the command of job look: job gone has made no artifact dataset");
}

}  // namespace
}  // namespace paddock::spec
