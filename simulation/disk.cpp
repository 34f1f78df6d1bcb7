#include "simulation/disk.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace paddock::simulation {

using storage::Batch;
using storage::Column;

void Disk::apply(Rows& rows, const Batch& batch) {
  for (const Batch::Change& change : batch.changes()) {
    auto& column = rows[change.column];
    if (change.value) {
      column[change.key] = *change.value;
    } else if (change.end.empty()) {
      column.erase(change.key);
    } else {
      column.erase(column.lower_bound(change.key), column.lower_bound(change.end));
    }
  }
}

// Now for programs, for ever with the next sync.
void Disk::apply(const Batch& batch) {
  const bool is_of_archive = std::ranges::any_of(
      batch.changes(), [](const Batch::Change& change) { return change.column == Column::kArchive; });
  if (is_of_archive) ++changes_of_archive_;
  apply(rows_, batch);
  unsynced_.push_back(batch);
}

Result<void> Disk::write(const Batch& batch, storage::Sync sync) {
  if (is_broken_) return fail(Code::kUnavailable, "the simulated database is read-only after an error");
  if (is_full_ || dies_) {
    is_broken_ = true;
    // A write that was cut off may have come to the disk as a whole.
    if (std::exchange(dies_, false) && dice_.chance(500)) apply(batch);
    return fail(Code::kExhausted, "the simulated disk took no more");
  }
  apply(batch);
  if (sync == storage::Sync::kNow) {
    for (const Batch& written : unsynced_) apply(synced_, written);
    unsynced_.clear();
  }
  return {};
}

bool Disk::crash() {
  dies_ = false;
  is_broken_ = false;
  const std::uint64_t kept = dice_.below(unsynced_.size() + 1);
  const bool is_lost = kept < unsynced_.size();
  for (std::uint64_t i = 0; i < kept; ++i) apply(synced_, unsynced_[i]);
  unsynced_.clear();
  if (is_lost) {
    rows_ = synced_;
    ++changes_of_archive_;
  }
  return is_lost;
}

Result<std::optional<std::string>> Disk::get(Column column, std::string_view key) const {
  const auto rows = rows_.find(column);
  if (rows == rows_.end()) return std::optional<std::string>();
  const auto found = rows->second.find(key);
  return found == rows->second.end() ? std::optional<std::string>() : std::optional(found->second);
}

Result<void> Disk::scan(Column column, std::string_view prefix, const Visit& visit,
                        std::string_view from) const {
  const auto rows = rows_.find(column);
  if (rows == rows_.end()) return {};
  // `visit` may write: it sees the rows as they were.
  std::vector<std::pair<std::string, std::string>> found;
  for (auto at = rows->second.lower_bound(std::max(prefix, from));
       at != rows->second.end() && at->first.starts_with(prefix); ++at)
    found.emplace_back(*at);
  for (const auto& [key, value] : found)
    if (!visit(key, value)) break;
  return {};
}

Result<std::optional<std::string>> Disk::last_key(Column column) const {
  const auto rows = rows_.find(column);
  if (rows == rows_.end() || rows->second.empty()) return std::optional<std::string>();
  return std::optional(rows->second.rbegin()->first);
}

}  // namespace paddock::simulation
