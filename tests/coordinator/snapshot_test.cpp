// Snapshots of the cluster, and a journal that begins after one: also where the power fails at any instant.
#include "coordinator/snapshot.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "coordinator/cluster_record.h"
#include "coordinator/journal.h"
#include "coordinator/record.h"
#include "scheduler/apply.h"
#include "storage/database.h"
#include "tests/coordinator/story.h"
#include "tests/storage/faulty_environment.h"
#include "tests/temporary_folder.h"

namespace paddock::coordinator {
namespace {

using namespace scheduler;
using storage::FaultyEnvironment;

// The cluster after each of the events: [0] is the empty one.
std::vector<Cluster> states_of(const std::vector<Event>& events) {
  std::vector<Cluster> states(1);
  for (const Event& event : events) {
    states.push_back(states.back());
    Effects ignored;
    apply(states.back(), event, ignored);
  }
  return states;
}

Result<Cluster> started(const Journal& journal) {
  auto cluster = journal.restore();
  if (!cluster) return cluster;
  Effects ignored;
  const auto replayed = journal.replay([&](const Event& event) { apply(*cluster, event, ignored); });
  if (!replayed) return tl::unexpected(replayed.error());
  return cluster;
}

TEST(ClusterRecord, EveryStateOfAStoryComesBackTheSame) {
  for (const Cluster& cluster : states_of(story())) {
    const auto back = to_cluster(to_bytes(cluster));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_TRUE(*back == cluster);
  }
}

TEST(ClusterRecord, WhatIsCutOffIsRefused) {
  const std::string bytes = to_bytes(states_of(story()).back());
  for (std::size_t length = 1; length < bytes.size(); ++length) {
    EXPECT_FALSE(to_cluster(std::string_view(bytes).substr(0, length))) << length;
  }
  EXPECT_FALSE(to_cluster(bytes + "x"));
}

TEST(ClusterRecord, DamagedBytesAreReadToAnEndWhateverTheySay) {
  std::string bytes = to_bytes(states_of(story()).back());
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (const char damage : {'\x01', '\x80', '\x7f'}) {
      bytes[at] = static_cast<char>(bytes[at] ^ damage);
      static_cast<void>(to_cluster(bytes));  // may be refused, or be another cluster
      bytes[at] = static_cast<char>(bytes[at] ^ damage);
    }
  }
}

// A decision has room for so many and no more.
TEST(ClusterRecord, MoreNodesThatAreKeptThanThereCanBeAreRefusedWithWords) {
  Cluster cluster = states_of(story()).back();
  cluster.holds.assign(kHoldsMax, Hold{});
  EXPECT_TRUE(to_cluster(to_bytes(cluster)));
  cluster.holds.push_back(Hold{});
  const auto back = to_cluster(to_bytes(cluster));
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().message, "this is no cluster: nodes are kept for 5 jobs, which is more than 4");
}

// A struct as two versions of a program know it.
struct Older {
  std::string name;
  std::vector<int> numbers;
};
struct Newer {
  std::string name;
  std::vector<int> numbers;
  std::int64_t added = 7;
};

}  // namespace

template <typename Archive>
void fields(Archive& archive, Recorded<Archive, Older>& value) {
  archive(value.name, value.numbers);
}
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, Newer>& value) {
  archive(value.name, value.numbers, value.added);
}

namespace {

TEST(Record, AFieldAddedAtTheEndIsPassedOverByTheOldAndHasItsDefaultInTheNew) {
  std::string bytes;
  RecordWriter writer(bytes);
  writer(Older{"a", {1, -2}}, Newer{"b", {3}, -9}, std::string("after"));
  RecordReader reader(bytes);
  Newer first;
  Older second;
  std::string after;
  reader(first, second, after);
  EXPECT_TRUE(reader.is_good() && reader.is_at_end());
  EXPECT_EQ(first.name, "a");
  EXPECT_EQ(first.numbers, (std::vector<int>{1, -2}));
  EXPECT_EQ(first.added, 7);
  EXPECT_EQ(second.name, "b");
  EXPECT_EQ(after, "after");
}

TEST(Snapshot, AStartReplaysOnlyWhatCameAfterIt) {
  const std::vector<Event> events = story();
  const auto states = states_of(events);
  TemporaryFolder folder;
  for (std::size_t at = 1; at < events.size(); ++at) {
    auto database = storage::Database::open(folder.path() / std::to_string(at));
    ASSERT_TRUE(database);
    auto journal = Journal::open(*database);
    ASSERT_TRUE(journal);
    const auto middle = events.begin() + static_cast<std::ptrdiff_t>(at);
    ASSERT_TRUE(journal->append({events.begin(), middle}));
    ASSERT_TRUE(journal->take_snapshot(states[at]));
    EXPECT_EQ(journal->events_since_snapshot(), 0u);
    ASSERT_TRUE(journal->append({middle, events.end()}));
    EXPECT_EQ(journal->next_sequence(), events.size() + 1);
    auto again = Journal::open(*database);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->next_sequence(), events.size() + 1);
    EXPECT_EQ(again->events_since_snapshot(), events.size() - at);
    const auto cluster = started(*again);
    ASSERT_TRUE(cluster) << cluster.error().message;
    EXPECT_TRUE(*cluster == states.back());
  }
}

TEST(Snapshot, OneOfAllEventsLeavesAnEmptyJournalThatGoesOn) {
  const std::vector<Event> events = story();
  const auto states = states_of(events);
  TemporaryFolder folder;
  auto database = storage::Database::open(folder.path());
  ASSERT_TRUE(database);
  auto journal = Journal::open(*database);
  ASSERT_TRUE(journal->append(events));
  ASSERT_TRUE(journal->take_snapshot(states.back()));
  auto again = Journal::open(*database);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->next_sequence(), events.size() + 1);
  EXPECT_TRUE(*started(*again) == states.back());
}

std::string refusal_of(const storage::Database& database, Journal* journal = nullptr) {
  auto opened = Journal::open(const_cast<storage::Database&>(database));
  if (!opened) return opened.error().message;
  const auto cluster = (journal == nullptr ? *opened : *journal).restore();
  return cluster ? "accepted" : cluster.error().message;
}

TEST(Snapshot, ADamagedOneAndOneOfANewerVersionAreRefusedWithWords) {
  const std::vector<Event> events = story();
  TemporaryFolder folder;
  auto database = storage::Database::open(folder.path());
  ASSERT_TRUE(database);
  auto journal = Journal::open(*database);
  ASSERT_TRUE(journal->append(events));
  ASSERT_TRUE(journal->take_snapshot(states_of(events).back()));
  const std::string chunk = storage::key_of(events.size()) + storage::key_of(0);
  const auto bytes = database->get(storage::Column::kSnapshot, chunk);
  ASSERT_TRUE(bytes && *bytes);
  storage::Batch damage;
  damage.put(storage::Column::kSnapshot, chunk, (*bytes)->substr(1));
  ASSERT_TRUE(database->write(damage));
  EXPECT_NE(refusal_of(*database).find("is damaged; restore the state folder"), std::string::npos);

  storage::Batch newer;
  std::string row(sizeof(std::uint32_t), '\0');
  row[0] = 1;
  newer.put(storage::Column::kSnapshot, "newest", row + '\x03');
  ASSERT_TRUE(database->write(newer));
  EXPECT_NE(refusal_of(*database).find("the snapshot's format is 3, this version reads up to 2"),
            std::string::npos)
      << refusal_of(*database);
  storage::Batch newest;
  newest.put(storage::Column::kJournal, storage::key_of(0), R"({"journal_format":3})");
  ASSERT_TRUE(database->write(newest));
  EXPECT_NE(refusal_of(*database).find(R"(format is {"journal_format":3}, this version reads 1 and 2)"),
            std::string::npos);
}

// Appends the story an event a turn, with a snapshot after every fourth. Returns how many events were told of.
std::size_t live(FaultyEnvironment& machine, const std::filesystem::path& folder,
                 const std::vector<Event>& events, const std::vector<Cluster>& states) {
  auto database = storage::Database::open(folder, machine.environment());
  if (!database) return 0;
  auto journal = Journal::open(*database);
  if (!journal) return 0;
  for (std::size_t told = 0; told < events.size(); ++told) {
    if (!journal->append({events[told]})) return told;
    if ((told + 1) % 4 == 0 && !journal->take_snapshot(states[told + 1])) return told + 1;
  }
  return events.size();
}

TEST(Snapshot, WhereverThePowerFailsNothingThatWasToldIsLost) {
  const std::vector<Event> events = story();
  const auto states = states_of(events);
  bool is_done = false;
  std::uint64_t crashes = 0;
  for (std::uint64_t operation = 1; !is_done; ++operation) {
    TemporaryFolder folder;
    FaultyEnvironment machine;
    machine.fail_at(operation);
    const std::size_t told = live(machine, folder.path(), events, states);
    is_done = !machine.has_failed();
    machine.lose_unsynced(operation);
    crashes += is_done ? 0 : 1;
    auto database = storage::Database::open(folder.path(), machine.environment());
    ASSERT_TRUE(database) << "operation " << operation << ": " << database.error().message;
    auto journal = Journal::open(*database);
    ASSERT_TRUE(journal) << "operation " << operation << ": " << journal.error().message;
    const std::size_t there = journal->next_sequence() - 1;
    EXPECT_GE(there, told) << "operation " << operation;
    const auto cluster = started(*journal);
    ASSERT_TRUE(cluster) << "operation " << operation << ": " << cluster.error().message;
    ASSERT_LT(there, states.size());
    EXPECT_TRUE(*cluster == states[there]) << "operation " << operation;
    // And it goes on: also over what an unfinished snapshot left.
    ASSERT_TRUE(journal->append({events.begin() + static_cast<std::ptrdiff_t>(there), events.end()}));
    ASSERT_TRUE(journal->take_snapshot(states.back()));
    EXPECT_TRUE(*started(*Journal::open(*database)) == states.back());
  }
  EXPECT_GT(crashes, 100u);
}

}  // namespace
}  // namespace paddock::coordinator
