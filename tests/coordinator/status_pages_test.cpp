// The status of graphs of any size: in pages that fit a message, each for little of the coordinator's time.
#include <capnp/serialize.h>
#include <gtest/gtest.h>

#include <set>

#include "base/limits.h"
#include "coordinator/answers.h"
#include "scheduler/apply.h"

namespace paddock::coordinator {
namespace {

using namespace scheduler;

class StatusPages : public ::testing::Test {
 protected:
  // Jobs "j0", "j1", … of which every thousandth has failed.
  void submit(int jobs) {
    GraphSubmitted submitted{"sweep", 0, "token", {}};
    for (int i = 0; i < jobs; ++i) {
      JobRequest job;
      job.name = JobName{"j" + std::to_string(i)};
      submitted.jobs.push_back(job);
    }
    happen(submitted);
    for (int i = 0; i < jobs; i += 1'000)
      happen(JobRefused{{GraphId{1}, JobName{"j" + std::to_string(i)}}, "no"});
  }
  void happen(const What& what) {
    Effects ignored;
    apply(cluster_, Event{{Instant{1}, WallTime{1}}, what}, ignored);
  }
  wire::Status::Graph::Reader ask(const JobsPage& page) {
    builder_ = std::make_unique<capnp::MallocMessageBuilder>();
    auto status = wire::begin(*builder_, 1).initStatus();
    write_status(status, cluster_, GraphId{1}, page, progress_, {Instant{2}, WallTime{2}});
    EXPECT_LT(capnp::computeSerializedSizeInWords(*builder_) * sizeof(capnp::word), limits::kMessageBytesMax);
    return status.asReader().getGraphs()[0];
  }
  // All pages, one after the other. `pages`: how many there were.
  std::vector<std::string> ask_all(JobsPage page, int& pages) {
    std::vector<std::string> names;
    for (pages = 1;; ++pages) {
      const auto graph = ask(page);
      for (const auto job : graph.getJobs()) names.push_back(to_text(job.getName()));
      page.after = to_text(graph.getNext());
      if (page.after.empty() || pages > 10'000) return names;
    }
  }

  Cluster cluster_;
  Progress progress_;
  std::unique_ptr<capnp::MallocMessageBuilder> builder_;
};

TEST_F(StatusPages, ASmallGraphComesWholeInTheOrderOfItsSubmission) {
  submit(12);
  const auto graph = ask({});
  EXPECT_EQ(to_text(graph.getNext()), "");
  ASSERT_EQ(graph.getJobs().size(), 12u);
  EXPECT_EQ(to_text(graph.getJobs()[2].getName()), "j2");  // and not j10
}

TEST_F(StatusPages, ALargeOneComesInPagesThatTogetherAreAllOfItOnce) {
  submit(30'000);
  const auto first = ask({});
  EXPECT_EQ(first.getJobs().size(), kJobsPerPageMax);
  EXPECT_NE(to_text(first.getNext()), "");
  ASSERT_EQ(first.getCounts().size(), 2u);
  EXPECT_EQ(to_text(first.getCounts()[0].getState()), "preparing");
  EXPECT_EQ(first.getCounts()[0].getJobs(), 29'970u);
  EXPECT_EQ(first.getCounts()[1].getJobs(), 30u);
  int pages = 0;
  const auto names = ask_all({}, pages);
  EXPECT_EQ(pages, 30);
  EXPECT_EQ(names.size(), 30'000u);
  EXPECT_EQ(std::set(names.begin(), names.end()).size(), 30'000u);
  EXPECT_EQ(ask_all({.limit = 7'000}, pages).size(), 30'000u) << "more than a page is not given at once";
}

TEST_F(StatusPages, OnlyThoseOfAStateAreThereAndNoAnswerLooksAtTooMany) {
  submit(30'000);
  int pages = 0;
  const auto failed = ask_all({.state = "failed"}, pages);
  EXPECT_EQ(failed.size(), 30u);
  EXPECT_EQ(pages, 2) << "of 20,000 jobs each";
  EXPECT_EQ(ask_all({.limit = 10, .state = "failed"}, pages).size(), 30u);
  const auto one = ask({.job = "j1234"});
  ASSERT_EQ(one.getJobs().size(), 1u);
  EXPECT_EQ(to_text(one.getNext()), "");
}

TEST_F(StatusPages, JobsWithManyRanksAndAttemptsMakePagesSmaller) {
  submit(12);
  for (auto& [name, job] : cluster_.graphs.at(GraphId{1}).jobs) {
    for (std::uint32_t number = 1; number <= 8; ++number) {
      Attempt attempt;
      attempt.number = number;
      attempt.outcome = Outcome::kFailed;
      attempt.ranks.resize(limits::kRanksPerAttemptMax);
      for (Rank& rank : attempt.ranks) rank.node = NodeId{"a-node-with-a-long-name.cluster.example"};
      job.attempts.push_back(attempt);
    }
  }
  const auto first = ask({});
  EXPECT_LT(first.getJobs().size(), 12u);
  const auto attempts = first.getJobs()[0].getAttempts();
  EXPECT_LT(attempts.size(), 8u);
  EXPECT_EQ(attempts[attempts.size() - 1].getNumber(), 8u) << "the newest are there";
  int pages = 0;
  EXPECT_EQ(ask_all({}, pages).size(), 12u);
}

// A rank may say as much as fits a line of its reports.
TEST_F(StatusPages, LongProgressMakesPagesSmaller) {
  submit(1'000);
  for (auto& [name, job] : cluster_.graphs.at(GraphId{1}).jobs) {
    job.attempts.emplace_back().fence = Fence{1};
    progress_[{GraphId{1}, name}].take(Fence{1}, 0, std::string(limits::kReportLineBytesMax, 'x'));
  }
  int pages = 0;
  EXPECT_EQ(ask_all({}, pages).size(), 1'000u);
  EXPECT_GE(pages, 8);  // 64 MB in messages of about 8
}

}  // namespace
}  // namespace paddock::coordinator
