#include "jobs/step_log.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "tests/jobs/tiny_run.h"

namespace paddock::jobs {
namespace {

constexpr std::int64_t kAny = std::numeric_limits<std::int64_t>::max();

class StepLogTest : public testing::Test {
 protected:
  // What is left of `text` after a log was opened on it at `last_step`.
  std::string kept(const std::string& text, std::int64_t last_step) {
    const fs::path path = folder_.path() / "log.jsonl";
    std::ofstream(path, std::ios::binary) << text;
    { const StepLog log(path, last_step); }
    return text_of_file(path);
  }

  TemporaryFolder folder_;
};

TEST_F(StepLogTest, DropsLaterLinesAndATornLastOne) {
  const std::string one = "{\"step\":1}\n", two = "{\"step\":2}\n", torn = "{\"step\":3";
  EXPECT_EQ(kept(one + two, 1), one);
  EXPECT_EQ(kept(one + two, 0), "");
  EXPECT_EQ(kept(one + two + torn, 9), one + two);
  EXPECT_EQ(kept("", 9), "");
}

TEST_F(StepLogTest, OpenedAtTheLargestStepKeepsEveryWholeLineOfOurs) {
  const std::string lines = "{\"step\":1}\n{\"step\":9223372036854775807}\n";
  EXPECT_EQ(kept(lines, kAny), lines);
  EXPECT_EQ(kept(lines + "{\"no_step\":1}\n" + lines, kAny), lines);
}

TEST_F(StepLogTest, ALineWhoseStepIsNoWholeNumberEndsWhatIsKept) {
  const std::string good = "{\"step\":1}\n";
  for (const char* bad : {"{\"step\":\"two\"}\n", "{\"step\":null}\n", "{\"step\":[2]}\n", "{\"step\":2.5}\n",
                          "{\"step\":18446744073709551615}\n", "[2]\n", "2\n", "\n", "\xff\n"})
    EXPECT_EQ(kept(good + bad + "{\"step\":2}\n", 9), good) << bad;
}

TEST_F(StepLogTest, GoesOnWhereItWasOpened) {
  const fs::path path = folder_.path() / "log.jsonl";
  for (const std::int64_t step : {1, 2, 3}) {
    StepLog log(path, 1);
    log.append({{"step", step}, {"loss", .5}});
    log.sync();
  }
  EXPECT_EQ(text_of_file(path), "{\"step\":1,\"loss\":0.5}\n{\"step\":3,\"loss\":0.5}\n");
}

}  // namespace
}  // namespace paddock::jobs
