// What is wrong is said beside a rank's progress, without losing it.
#include "jobs/report_channel.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <sstream>
#include <string>
#include <vector>

namespace paddock::jobs {
namespace {

std::vector<nlohmann::json> lines_of(int descriptor) {
  std::string text;
  char buffer[4'096];
  for (ssize_t got = 0; (got = ::read(descriptor, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(got));
  std::vector<nlohmann::json> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

TEST(ReportChannel, HealthStandsBesideTheLastProgressUntilItIsWell) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  {
    ReportChannel report(ends[1]);
    report.health("rank 1 hangs");
    report.progress({{"step", 3}});
    report.progress({{"step", 4}, {"health", "collapse"}});
    report.health("");
    report.progress({{"step", 5}});
  }
  ::close(ends[1]);
  const auto lines = lines_of(ends[0]);
  ::close(ends[0]);
  using Json = nlohmann::json;
  const std::vector<Json> wanted{{{"progress", {{"health", "rank 1 hangs"}}}},
                                 {{"progress", {{"step", 3}, {"health", "rank 1 hangs"}}}},
                                 {{"progress", {{"step", 4}, {"health", "collapse"}}}},
                                 {{"progress", {{"step", 4}, {"health", "collapse"}}}},
                                 {{"progress", {{"step", 5}}}}};
  EXPECT_EQ(lines, wanted);
}

}  // namespace
}  // namespace paddock::jobs
