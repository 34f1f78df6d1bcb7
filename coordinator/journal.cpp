#include "coordinator/journal.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/planted_bug.h"
#include "coordinator/event_json.h"
#include "coordinator/snapshot.h"
#include "scheduler/apply.h"

namespace paddock::coordinator {
namespace {

using storage::Batch;
using storage::Column;

// What row 0 says. Format 1: all events since the beginning. 2: those since the newest snapshot, which a program
// that knows no snapshots must not take for the beginning; and by which rules they were decided.
constexpr std::uint64_t kFormatNewest = 2;

std::string format_row() {
  return nlohmann::json{{"journal_format", kFormatNewest}, {"rules", scheduler::kRules}}.dump();
}

// The same format: its events are still there.
std::string with_our_rules(const std::string& row) {
  auto said = nlohmann::json::parse(row, nullptr, false);
  said["rules"] = scheduler::kRules;
  return said.dump();
}

// kCorrupt: the events are not for this version to replay. Those that older rules decided are: coordinator_started
// says by which (scheduler/event.h).
Result<void> check_format(const std::optional<std::string>& row) {
  const auto said = nlohmann::json::parse(row.value_or(""), nullptr, false);
  const auto number = [&](const char* key) {
    const bool is_there = said.is_object() && said.contains(key) && said[key].is_number_unsigned();
    return is_there ? said[key].get<std::uint64_t>() : 0;
  };
  if (number("journal_format") == 0 || number("journal_format") > kFormatNewest) {
    return fail(Code::kCorrupt,
                "the journal's format is " + row.value_or("not named") +
                    ", this version reads 1 and 2; start the version that wrote it, or a newer one");
  }
  const std::uint64_t rules = number("rules");
  if (rules > scheduler::kRules) {
    return fail(Code::kCorrupt, "the journal was written by a newer version (rules " + std::to_string(rules) +
                                    ", this one has " + std::to_string(scheduler::kRules) +
                                    "); start that one");
  }
  return {};
}

}  // namespace

Result<Journal> Journal::open(storage::Tables& database) {
  TRY_ASSIGN(const auto last, database.last_key(Column::kJournal), "opening the journal");
  if (!last) {
    Batch batch;
    batch.put(Column::kJournal, storage::key_of(0), format_row());
    TRY(database.write(batch), "beginning the journal");
    return Journal(database, 1, 1);
  }
  TRY_ASSIGN(const auto format, database.get(Column::kJournal, storage::key_of(0)),
             "reading the journal's format");
  const auto number = storage::number_of(*last);
  if (!number) return fail(Code::kCorrupt, "the journal has a key that is no sequence number");
  const auto in_snapshot = snapshot_sequence(database);
  const std::uint64_t snapshot = in_snapshot.value_or(0);
  const bool is_empty = *number <= snapshot;
  TRY(check_format(format), "opening the journal");
  TRY(in_snapshot, "opening the journal");
  const std::string row = is_empty ? format_row() : with_our_rules(*format);
  if (*format != row) {  // what is appended from now on is decided by our rules
    Batch batch;
    batch.put(Column::kJournal, storage::key_of(0), row);
    TRY(database.write(batch), "going on with the journal");
  }
  return Journal(database, snapshot + 1, std::max(*number, snapshot) + 1);
}

Result<scheduler::Cluster> Journal::restore() const {
  return read_snapshot(*database_);
}

Result<void> Journal::take_snapshot(const scheduler::Cluster& cluster) {
  TRY(write_snapshot(*database_, cluster, next_ - 1, format_row()), "taking a snapshot");
  first_ = next_;
  return {};
}

Result<void> Journal::replay(const std::function<void(const scheduler::Event&)>& visit) const {
  std::uint64_t expected = first_;
  Result<void> outcome;
  std::optional<scheduler::Event> held;  // until it is known what follows
  // Programs of before said of a turn's last event that it was followed where a heartbeat came after it, and decided then.
  const auto visit_held = [&](const scheduler::Event* next) {
    if (!held) return;
    held->is_followed = held->is_followed && next != nullptr && next->at == held->at;
    visit(*held);
  };
  const auto take = [&](std::string_view key, std::string_view record) {
    const auto number = storage::number_of(key);
    if (!number || *number != expected) {
      outcome = fail(Code::kCorrupt, "journal record " + std::to_string(expected) + " is missing");
      return false;
    }
    auto event = to_event(record);
    if (!event) {
      outcome = tl::unexpected(event.error().within("journal record " + std::to_string(expected)));
      return false;
    }
    visit_held(&*event);
    held = *std::move(event);
    ++expected;
    return true;
  };
  TRY(database_->scan(Column::kJournal, "", take, storage::key_of(first_)), "replaying the journal");
  visit_held(nullptr);
  return outcome;
}

Result<void> Journal::append(const std::vector<scheduler::Event>& events, const Batch& also) {
  Batch batch = also;
  std::uint64_t next = next_;
  for (const scheduler::Event& event : events) {
    if (std::holds_alternative<scheduler::NodeSeen>(event.what)) continue;
    batch.put(Column::kJournal, storage::key_of(next++), to_record(event));
  }
  if (batch.empty()) return {};
  const storage::Sync sync = is_planted(PlantedBug::kSkipSync) ? storage::Sync::kLater : storage::Sync::kNow;
  TRY(database_->write(batch, sync), "appending to the journal");
  next_ = next;
  return {};
}

}  // namespace paddock::coordinator
