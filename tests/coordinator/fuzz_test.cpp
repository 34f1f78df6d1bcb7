// What a coordinator finds on its disk is read without trust: any bytes give events, a cluster or a graph, or an error.
#include <gtest/gtest.h>

#include "coordinator/cluster_record.h"
#include "coordinator/event_json.h"
#include "coordinator/journal.h"
#include "coordinator/submission.h"
#include "jobs/spec/parse.h"
#include "scheduler/apply.h"
#include "simulation/disk.h"
#include "tests/coordinator/story.h"
#include "tests/fuzz.h"

namespace paddock::coordinator {
namespace {

std::vector<std::string> records_of_story() {
  std::vector<std::string> records;
  for (const scheduler::Event& event : story()) records.push_back(to_record(event));
  return records;
}

// What is accepted is written and read back the same, and can be applied, whatever it says.
TEST(JournalFuzz, RecordsAreReadOrRefusedAndWhatIsReadCanBeApplied) {
  const std::vector<std::string> records = records_of_story();
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;
  for (Rounds rounds(4'000); rounds.next();) {
    Draws draws = rounds.draws();
    scheduler::Cluster cluster;
    scheduler::Effects effects;
    for (const std::string& record : records) {
      const auto event = to_event(draws.below(4) == 0 ? edited(record, draws, json_scraps()) : record);
      if (!event) {
        ASSERT_EQ(event.error().code, Code::kCorrupt);
        ASSERT_FALSE(event.error().message.empty());
        ++refused;
        continue;
      }
      ++accepted;
      const auto again = to_event(to_record(*event));
      ASSERT_TRUE(again) << again.error().message;
      ASSERT_TRUE(*again == *event) << to_record(*event);
      scheduler::apply(cluster, *event, effects);
    }
  }
  EXPECT_GT(refused, 1'000u);
  EXPECT_GT(accepted, 10'000u);
}

TEST(JournalFuzz, RandomBytesAreNoRecord) {
  for (Rounds rounds(20'000); rounds.next();) {
    Draws draws = rounds.draws();
    const auto event = to_event(random_text(draws, 200));
    ASSERT_FALSE(event);
  }
}

// The rows as a disk may give them back.
TEST(JournalFuzz, AJournalWithDamagedRowsIsReplayedOrRefused) {
  std::uint64_t replayed = 0;
  for (Rounds rounds(1'500); rounds.next();) {
    Draws draws = rounds.draws();
    simulation::Dice dice(rounds.number());
    simulation::Disk disk(dice);
    {
      auto journal = Journal::open(disk);
      ASSERT_TRUE(journal);
      ASSERT_TRUE(journal->append(story()));
      const bool has_snapshot = draws.below(2) == 0;
      ASSERT_TRUE(!has_snapshot || journal->take_snapshot(scheduler::Cluster()));
      ASSERT_TRUE(journal->append(story()));
    }
    std::vector<std::pair<storage::Column, std::pair<std::string, std::string>>> rows;
    for (const auto column : {storage::Column::kJournal, storage::Column::kSnapshot}) {
      const auto keep = [&](std::string_view key, std::string_view value) {
        rows.push_back({column, {std::string(key), std::string(value)}});
        return true;
      };
      ASSERT_TRUE(disk.scan(column, "", keep, ""));
    }
    const auto& [column, row] = rows[draws.below(rows.size())];
    storage::Batch damage;
    damage.erase(column, row.first);
    if (draws.below(4) > 0)
      damage.put(column, draws.below(4) == 0 ? edited(row.first, draws, {}) : row.first,
                 edited(row.second, draws, json_scraps()));
    ASSERT_TRUE(disk.write(damage, storage::Sync::kNow));
    const auto journal = Journal::open(disk);
    if (!journal) continue;
    auto cluster = journal->restore();
    if (!cluster) continue;
    scheduler::Effects effects;
    const auto whole =
        journal->replay([&](const scheduler::Event& event) { scheduler::apply(*cluster, event, effects); });
    replayed += whole ? 1 : 0;
  }
  EXPECT_GT(replayed, 10u) << "what was damaged was never something harmless";
}

TEST(JournalFuzz, SnapshotsAndArchivedGraphsAreReadOrRefused) {
  scheduler::Cluster cluster;
  scheduler::Effects effects;
  for (const scheduler::Event& event : story()) scheduler::apply(cluster, event, effects);
  const std::string whole = to_bytes(cluster);
  const std::string graph = to_bytes(cluster.graphs.rbegin()->second);
  std::uint64_t read = 0;
  for (Rounds rounds(10'000); rounds.next();) {
    Draws draws = rounds.draws();
    if (const auto back = to_cluster(edited(whole, draws, {}))) {
      ++read;
      ASSERT_TRUE(to_cluster(to_bytes(*back)));
    }
    const auto one = to_graph(edited(graph, draws, {}));
    ASSERT_TRUE(!one || to_graph(to_bytes(*one)));
    static_cast<void>(to_cluster(random_text(draws, 300)));
  }
  EXPECT_GT(read, 100u);
}

}  // namespace
}  // namespace paddock::coordinator
