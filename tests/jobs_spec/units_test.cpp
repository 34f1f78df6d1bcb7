#include "jobs/spec/units.h"

#include <gtest/gtest.h>

#include "jobs/spec/nearest.h"

namespace paddock::spec {
namespace {

TEST(Units, DurationsAndSizesReadBackAsWritten) {
  for (const char* text : {"30s", "5m", "2h", "7d", "1500ms", "0s"})
    EXPECT_EQ(format_duration(*parse_duration(text)), text);
  for (const char* text : {"512MiB", "16GiB", "3TiB", "1KiB", "7B", "0B"})
    EXPECT_EQ(format_size(*parse_size(text)), text);
  EXPECT_EQ(format_duration(*parse_duration("120s")), "2m");
}

TEST(Units, OtherTextsAreNone) {
  for (const char* text : {"", "s", "30", "30 s", "-1s", "1.5h", "30S", "30s ", "99999999999999999999d",
                           "9223372036854775807d"}) {
    EXPECT_FALSE(parse_duration(text).has_value()) << text;
  }
  for (const char* text : {"16GB", "16", "GiB", "16GiBs", "-1B", "20000000TiB"})
    EXPECT_FALSE(parse_size(text).has_value()) << text;
}

TEST(Nearest, SlipsFindTheirWordAndOthersNone) {
  const std::vector<std::string> known = {"steps", "data", "batch", "learning_rate"};
  EXPECT_EQ(nearest("stpes", known), "steps");
  EXPECT_EQ(nearest("step", known), "steps");
  EXPECT_EQ(nearest("learnin_rat", known), "learning_rate");
  EXPECT_EQ(nearest("temperature", known), std::nullopt);
  EXPECT_EQ(nearest("", known), std::nullopt);
}

}  // namespace
}  // namespace paddock::spec
