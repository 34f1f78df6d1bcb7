// base/limits.h – the bounds that are promises: every queue, message, file and retry has one.
// Changing one is a change of protocol or of behaviour: say so in docs/.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace paddock::limits {

inline constexpr std::size_t kMessageBytesMax = 32u << 20;  // one frame on the wire
inline constexpr std::size_t kSpecBytesMax = 16u << 20;     // one submitted graph
inline constexpr std::size_t kJobsPerGraphMax = 100'000;
inline constexpr std::size_t kRanksPerAttemptMax = 4'096;
inline constexpr std::size_t kNameBytesMax = 100;              // graph, job, node and artifact names
inline constexpr std::size_t kLogChunkBytesMax = 256u << 10;   // one piece of a rank's output
inline constexpr std::size_t kReportLineBytesMax = 64u << 10;  // one line a rank reports to its worker
inline constexpr std::size_t kReportsUnackedMax = 10'000;      // a worker keeps while the coordinator is away
inline constexpr std::size_t kIdleGuardsMax = 64;              // processes of a worker that wait for a rank
inline constexpr std::size_t kEventsPerTurnMax = 1'024;        // one group commit
inline constexpr std::size_t kGraphsPerArchivingMax = 1'024;
inline constexpr std::size_t kGraphsRemovedAtOnceMax = 64;         // from the archive
inline constexpr std::size_t kArchiveRowsListedAtOnceMax = 4'096;  // some milliseconds
inline constexpr std::size_t kLogsRemovedAtOnceMax = 256;          // files
inline constexpr std::uint64_t kImagePixelsMax = 100'000'000;      // decoded; more is refused from the header
inline constexpr std::size_t kManifestBytesMax = 16u << 20;
inline constexpr int kRetriesMax = 1'000;
inline constexpr std::size_t kMissedRunsMax = 24;   // of a schedule, made up for at once
inline constexpr std::size_t kWaitingRunsMax = 24;  // of a schedule, behind the one that goes
inline constexpr std::size_t kReservationsMax = 1'000;
inline constexpr std::size_t kSchedulesMax = 10'000;
inline constexpr std::chrono::milliseconds kBackoffMax = std::chrono::hours(1);
inline constexpr std::chrono::milliseconds kTimeLimitMax = std::chrono::hours(24'000);

static_assert(kSpecBytesMax < kMessageBytesMax, "a graph must fit a frame");
static_assert(kLogChunkBytesMax < kMessageBytesMax && kReportLineBytesMax < kMessageBytesMax);

}  // namespace paddock::limits
