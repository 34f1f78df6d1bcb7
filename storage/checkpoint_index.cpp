#include "storage/checkpoint_index.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "storage/json_fields.h"

namespace paddock::storage {

namespace {

using nlohmann::json;

constexpr std::size_t kRunBytesMax = 1'000;

// "s" run NUL step and "f" run NUL; the NUL keeps a run apart from another whose name begins with it.
std::string steps_prefix(std::string_view run) {
  return "s" + std::string(run) + std::string(1, '\0');
}
std::string step_key(std::string_view run, std::int64_t step) {
  return steps_prefix(run) + key_of(static_cast<std::uint64_t>(step));
}
std::string fence_key(std::string_view run) {
  return "f" + std::string(run) + std::string(1, '\0');
}

void require_name(std::string_view run) {
  PADDOCK_REQUIRE(!run.empty() && run.size() <= kRunBytesMax && run.find('\0') == std::string_view::npos,
                  run);
}

std::string print(const CheckpointInfo& checkpoint) {
  return json{{"step", checkpoint.step},
              {"fence", checkpoint.fence.value},
              {"path", checkpoint.path.string()},
              {"hash", checkpoint.hash},
              {"bytes", checkpoint.bytes}}
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<CheckpointInfo> parse(std::string_view text) {
  const json entry = json::parse(text, nullptr, /*allow_exceptions=*/false);
  JsonFields fields(entry);
  CheckpointInfo checkpoint{.step = static_cast<std::int64_t>(fields.number("step")),
                            .fence = Fence(fields.number("fence")),
                            .path = fields.text("path"),
                            .hash = fields.text("hash"),
                            .bytes = fields.number("bytes")};
  TRY(fields.result(), "the checkpoint index has a damaged entry, rebuild it from the manifests");
  return checkpoint;
}

Result<Fence> newest_fence(const Tables& database, std::string_view run) {
  TRY_ASSIGN(const auto stored, database.get(Column::kCheckpoints, fence_key(run)),
             "reading the checkpoint index");
  if (!stored) return Fence();
  const auto number = number_of(*stored);
  if (!number)
    return fail(Code::kCorrupt, "the checkpoint index has a fence it cannot read for " + std::string(run));
  return Fence(*number);
}

}  // namespace

Result<void> CheckpointIndex::record(std::string_view run, const CheckpointInfo& checkpoint) {
  require_name(run);
  TRY_ASSIGN(const Fence newest, newest_fence(database_, run), "recording a checkpoint");
  if (checkpoint.fence < newest)
    return fail(Code::kFenced, "step " + std::to_string(checkpoint.step) + " of " + std::string(run) +
                                   " comes from fence " + std::to_string(checkpoint.fence.value) + ", but " +
                                   std::to_string(newest.value) + " owns the run: stop");
  Batch batch;
  batch.put(Column::kCheckpoints, fence_key(run), key_of(checkpoint.fence.value));
  batch.put(Column::kCheckpoints, step_key(run, checkpoint.step), print(checkpoint));
  return database_.write(batch);
}

void CheckpointIndex::forget_runs(std::string_view beginning, Batch& batch) {
  require_name(beginning);
  for (const char* kind : {"s", "f"}) {
    const std::string begin = kind + std::string(beginning);
    std::string end = begin;
    while (static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();  // "s" and "f" are none
    end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
    batch.erase_range(Column::kCheckpoints, begin, end);
  }
}

Result<std::vector<CheckpointInfo>> CheckpointIndex::list(std::string_view run) const {
  require_name(run);
  std::vector<CheckpointInfo> checkpoints;
  Result<void> parsed;
  TRY(database_.scan(Column::kCheckpoints, steps_prefix(run),
                     [&](std::string_view, std::string_view value) {
                       auto checkpoint = parse(value);
                       if (checkpoint)
                         checkpoints.push_back(*std::move(checkpoint));
                       else
                         parsed = tl::unexpected(checkpoint.error());
                       return parsed.has_value();
                     }),
      "listing checkpoints");
  TRY(parsed, "listing checkpoints of " + std::string(run));
  std::reverse(checkpoints.begin(), checkpoints.end());
  return checkpoints;
}

Result<std::optional<CheckpointInfo>> CheckpointIndex::newest(std::string_view run) const {
  TRY_ASSIGN(auto checkpoints, list(run), "finding the newest checkpoint");
  if (checkpoints.empty()) return std::optional<CheckpointInfo>();
  return std::optional<CheckpointInfo>(std::move(checkpoints.front()));
}

Result<std::size_t> CheckpointIndex::rebuild(std::string_view run, Disk& disk, const fs::path& run_dir) {
  require_name(run);
  TRY_ASSIGN(const auto whole, list_checkpoints(disk, run_dir), "rebuilding the checkpoint index");
  // What is there now may be unreadable, so its keys are erased without looking at it; only the fence is kept
  // or raised.
  Batch batch;
  TRY(database_.scan(Column::kCheckpoints, steps_prefix(run),
                     [&](std::string_view key, std::string_view) {
                       batch.erase(Column::kCheckpoints, std::string(key));
                       return true;
                     }),
      "rebuilding the checkpoint index");
  Fence newest = newest_fence(database_, run).value_or(Fence());
  for (const CheckpointInfo& checkpoint : whole) {
    newest = std::max(newest, checkpoint.fence);
    batch.put(Column::kCheckpoints, step_key(run, checkpoint.step), print(checkpoint));
  }
  batch.put(Column::kCheckpoints, fence_key(run), key_of(newest.value));
  TRY(database_.write(batch), "rebuilding the checkpoint index");
  return whole.size();
}

}  // namespace paddock::storage
