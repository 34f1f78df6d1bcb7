#include "coordinator/journal.h"

#include <string>
#include <string_view>
#include <variant>

#include "coordinator/event_json.h"

namespace paddock::coordinator {
namespace {

using storage::Batch;
using storage::Column;

constexpr std::string_view kFormat = R"({"journal_format":1})";

}  // namespace

Result<Journal> Journal::open(storage::Database& database) {
  TRY_ASSIGN(const auto last, database.last_key(Column::kJournal), "opening the journal");
  if (!last) {
    Batch batch;
    batch.put(Column::kJournal, storage::key_of(0), std::string(kFormat));
    TRY(database.write(batch), "beginning the journal");
    return Journal(database, 1);
  }
  TRY_ASSIGN(const auto format, database.get(Column::kJournal, storage::key_of(0)),
             "reading the journal's format");
  if (!format || *format != kFormat) {
    return fail(Code::kCorrupt, "the journal's format is " + format.value_or("not named") +
                                    ", this version reads 1; start the version that wrote it");
  }
  const auto number = storage::number_of(*last);
  if (!number) return fail(Code::kCorrupt, "the journal has a key that is no sequence number");
  return Journal(database, *number + 1);
}

Result<void> Journal::replay(const std::function<void(const scheduler::Event&)>& visit) const {
  std::uint64_t expected = 1;
  Result<void> outcome;
  const auto take = [&](std::string_view key, std::string_view record) {
    const auto number = storage::number_of(key);
    if (!number || *number != expected) {
      outcome = fail(Code::kCorrupt, "journal record " + std::to_string(expected) + " is missing");
      return false;
    }
    const auto event = to_event(record);
    if (!event) {
      outcome = tl::unexpected(event.error().within("journal record " + std::to_string(expected)));
      return false;
    }
    visit(*event);
    ++expected;
    return true;
  };
  TRY(database_->scan(Column::kJournal, "", take, storage::key_of(1)), "replaying the journal");
  return outcome;
}

Result<void> Journal::append(const std::vector<scheduler::Event>& events) {
  Batch batch;
  std::uint64_t next = next_;
  for (const scheduler::Event& event : events) {
    if (std::holds_alternative<scheduler::NodeSeen>(event.what)) continue;
    batch.put(Column::kJournal, storage::key_of(next++), to_record(event));
  }
  if (batch.empty()) return {};
  TRY(database_->write(batch), "appending to the journal");
  next_ = next;
  return {};
}

}  // namespace paddock::coordinator
