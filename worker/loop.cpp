#include "worker/loop.h"

#include <sys/signalfd.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <csignal>

#include "wire/systemd_notify.h"
#include "worker/launch.h"
#include "worker/messages.h"

namespace paddock::worker {
namespace {

constexpr Millis kLogsEvery = std::chrono::milliseconds(200);
constexpr int kLogPiecesPerTurn = 4;  // of a rank that runs: a loud one must not drown the others
constexpr int kLogPiecesAtEnd = 64;   // of one that has ended, so that its log comes before its end
constexpr int kMessagesPerTurn = 256;
constexpr Millis kLinger = std::chrono::seconds(1);
// How long the news that a rank has started waits for others to go with: the end of a short one, most likely.
constexpr Millis kHoldStarted{2};

template <typename... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};

Instant clock_now() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return Instant{std::chrono::duration_cast<Millis>(since).count()};
}

}  // namespace

Loop::Loop(Parts parts)
    : parts_(std::move(parts)),
      log_(parts_.log),
      processes_(parts_.options.guard_command),
      agent_(clock_now()),
      folders_(parts_.options.state, parts_.options.attempts_kept) {
  for (char** entry = environ; *entry != nullptr; ++entry) environment_.emplace_back(*entry);
  parts_.client.linger(kLinger);
}

Millis Loop::time_to_wake() const {
  Instant wake = agent_.next_wake();
  const bool are_logs_open =
      std::ranges::any_of(ranks_, [](const auto& entry) { return !entry.second.tail.is_over(); });
  if (are_logs_open && agent_.is_joined()) wake = std::min(wake, logs_at_);
  if (hold_until_) wake = std::min(wake, *hold_until_);
  const Instant now = clock_now();
  return std::clamp(wake - now, Millis(0), Millis(std::chrono::hours(1)));
}

std::vector<int> Loop::descriptors() const {
  std::vector<int> descriptors = processes_.descriptors();
  descriptors.push_back(parts_.signals.number());
  for (const auto& [key, rank] : ranks_) {
    if (rank.pipe && rank.pipe->descriptor() >= 0) descriptors.push_back(rank.pipe->descriptor());
  }
  return descriptors;
}

Result<void> Loop::run() {
  while (!is_done_) {
    TRY(parts_.client.wait(time_to_wake(), descriptors()), "the worker's loop");
    watch_connection();
    read_signals();
    read_messages();
    read_pipes();
    read_processes();
    send_logs();
    tell_ends();
    happened(TimePassed{});
    decide();
  }
  parts_.cgroups.close();
  log_.info("worker_stopped", {{"node", parts_.identity.node}});
  return {};
}

void Loop::watch_connection() {
  if (const std::uint64_t made = parts_.client.connections(); made != connections_) {
    connections_ = made;
    happened(Connected{});
  }
  const wire::Obstacle obstacle = parts_.client.obstacle();
  if (obstacle == std::exchange(obstacle_, obstacle) || obstacle == wire::Obstacle::kNone) return;
  log_.warn("coordinator_not_reached", {{"reason", parts_.client.describe_obstacle().message}});
}

void Loop::read_messages() {
  for (int count = 0; count < kMessagesPerTurn; ++count) {
    const auto envelope = parts_.client.receive();
    if (!envelope) return;
    Result<Event> event = to_event(envelope->message());
    if (event) {
      happened(std::move(*event));
    } else if (event.error().message != last_refusal_) {
      last_refusal_ = event.error().message;
      log_.warn("refused_by_coordinator",
                {{"code", name_of(event.error().code)}, {"message", last_refusal_}});
    }
  }
}

void Loop::read_signals() {
  signalfd_siginfo info{};
  while (read(parts_.signals.number(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGCHLD) continue;  // read_processes() looks anyway
    log_.info("stop_asked", {{"signal", info.ssi_signo}, {"ranks", agent_.held().size()}});
    wire::systemd_notify("STOPPING=1");
    // Asked twice, we stop asking politely.
    happened(StopAsked{is_stop_asked_ ? Millis(0) : parts_.options.stop_grace});
    is_stop_asked_ = true;
  }
}

void Loop::read_pipes() {
  for (auto& [key, rank] : ranks_) {
    if (!rank.pipe) continue;
    for (Saying& saying : rank.pipe->read()) happened(RankSaid{key, std::move(saying)});
  }
}

void Loop::close_pipe(const RankKey& key, LiveRank& rank) {
  if (!rank.pipe) return;
  for (Saying& saying : rank.pipe->read_rest()) happened(RankSaid{key, std::move(saying)});
  if (rank.pipe->lines_bad() + rank.pipe->lines_too_long() > 0) {
    log_.warn("report_lines_dropped", {{"fence", key.fence.value},
                                       {"rank", key.rank.value},
                                       {"bad", rank.pipe->lines_bad()},
                                       {"too_long", rank.pipe->lines_too_long()}});
  }
  rank.pipe.reset();
}

void Loop::ended(const RankKey& key, LiveRank& rank, int wait_status) {
  close_pipe(key, rank);
  RankEnded event{key, -1, 0, false};
  if (WIFSIGNALED(wait_status)) event.signal = WTERMSIG(wait_status);
  if (WIFEXITED(wait_status)) event.exit_code = WEXITSTATUS(wait_status);
  event.out_of_memory = event.exit_code != 0 && parts_.cgroups.was_out_of_memory(rank.cgroup);
  parts_.cgroups.remove(rank.cgroup);
  rank.tail.finish();
  rank.ended = event;
  log_.info("rank_ended", {{"fence", key.fence.value},
                           {"rank", key.rank.value},
                           {"exit_code", event.exit_code},
                           {"signal", event.signal},
                           {"out_of_memory", event.out_of_memory ? "yes" : "no"}});
}

void Loop::read_processes() {
  for (const ProcessNews& news : processes_.collect()) {
    const auto at = ranks_.find(news.key);
    if (at == ranks_.end()) continue;
    LiveRank& rank = at->second;
    std::visit(Overloaded{[&](const ProcessStarted& started) {
                            log_.info("rank_started", {{"fence", news.key.fence.value},
                                                       {"rank", news.key.rank.value},
                                                       {"pid", started.pid}});
                            happened(RankStarted{news.key, started.pid});
                          },
                          [&](const ProcessNotStarted& failed) {
                            close_pipe(news.key, rank);
                            parts_.cgroups.remove(rank.cgroup);
                            rank.tail.finish();
                            happened(RankNotStarted{news.key, failed.reason});
                          },
                          [&](const ProcessEnded& end) { ended(news.key, rank, end.wait_status); }},
               news.what);
  }
}

// False: the connection takes no more now.
bool Loop::send_log(const RankKey& key, LiveRank& rank, int pieces) {
  for (; pieces > 0; --pieces) {
    const auto piece = rank.tail.next();
    if (!piece) return true;
    if (piece->offset == 0 && piece->bytes.empty()) {  // it wrote nothing: there is nothing to say
      rank.tail.passed(*piece);
      continue;
    }
    capnp::MallocMessageBuilder builder;
    write(builder, parts_.identity, key, *piece);
    if (!parts_.client.send(builder)) return false;
    rank.tail.passed(*piece);
  }
  return true;
}

void Loop::send_logs() {
  if (!agent_.is_joined()) return;
  const Instant now = clock_now();
  const bool is_due = now >= logs_at_;
  if (is_due) logs_at_ = now + kLogsEvery;
  for (auto& [key, rank] : ranks_) {
    const bool has_just_ended = rank.ended.has_value();
    if (!is_due && !has_just_ended) continue;
    if (!send_log(key, rank, has_just_ended ? kLogPiecesAtEnd : kLogPiecesPerTurn)) return;
  }
}

// A rank's end is told after its log, unless the log cannot be sent now: then it follows after the next join.
void Loop::tell_ends() {
  for (auto& [key, rank] : ranks_) {
    if (!rank.ended || (agent_.is_joined() && !rank.tail.is_over())) continue;
    happened(*std::exchange(rank.ended, std::nullopt));
  }
}

void Loop::decide() {
  while (!events_.empty()) {
    const Event event = std::move(events_.front());
    events_.pop_front();
    Effects effects;
    const bool had_lease = agent_.has_lease();
    agent_.apply(event, clock_now(), effects);
    if (had_lease && !agent_.has_lease()) log_.warn("lease_lapsed", {{"ranks_killed", agent_.held().size()}});
    if (!had_lease && agent_.has_lease()) log_.info("lease_granted");
    for (const Effect& effect : effects) {
      std::visit([this](const auto& what) { carry_out(what); }, effect);
    }
  }
  flush_unless_held();
}

void Loop::flush_unless_held() {
  const bool is_only_started = std::ranges::all_of(outgoing_.reports, [](const Report& report) {
    return std::holds_alternative<Started>(report.finding);
  });
  if (outgoing_.reports.empty()) return;
  if (!hold_until_) hold_until_ = clock_now() + kHoldStarted;
  if (!is_only_started || clock_now() >= *hold_until_) flush_reports();
}

void Loop::carry_out(const SendReports& effect) {
  std::size_t bytes = 0;
  for (const Report& report : effect.reports) bytes += bytes_of(report.finding);
  std::uint64_t last_kept = 0;
  for (const Report& report : outgoing_.reports) last_kept = std::max(last_kept, report.number);
  const bool is_kept = effect.reports.front().number > 0;
  const bool follows = last_kept == 0 || !is_kept || effect.after == last_kept;
  if (!follows || outgoing_bytes_ + bytes > kReportBytesInFlight) flush_reports();
  if (is_kept && (!follows || last_kept == 0)) outgoing_.after = effect.after;
  outgoing_.reports.insert(outgoing_.reports.end(), effect.reports.begin(), effect.reports.end());
  outgoing_bytes_ += bytes;
}

void Loop::flush_reports() {
  hold_until_.reset();
  if (outgoing_.reports.empty()) return;
  const SendReports together = std::exchange(outgoing_, SendReports{});
  outgoing_bytes_ = 0;
  send(together);
}

template <typename What>
void Loop::send(const What& what) {
  flush_reports();  // nothing overtakes them
  capnp::MallocMessageBuilder builder;
  write(builder, parts_.identity, what);
  const Result<void> sent = parts_.client.send(builder);
  if (sent || sent.error().code == Code::kUnavailable) return;  // nobody there: the agent asks again
  log_.error("message_not_sent", {{"message", sent.error().message}});
}

Result<int> Loop::launch(const StartRank& effect, LiveRank& rank) {
  const WorkerOptions& options = parts_.options;
  const RankKey key{effect.order->fence, effect.order->ranks[effect.index].rank};
  TRY_ASSIGN(GuardLaunch launch,
             prepare_launch(*effect.order, effect.index, folders_, options.runner, environment_),
             "preparing the rank");
  const std::uint64_t memory_bytes = effect.order->memory_bytes_per_rank;
  TRY_ASSIGN(rank.cgroup, parts_.cgroups.make(key, memory_bytes), "bounding the rank");
  launch.cgroups = rank.cgroup.folders;
  if (!parts_.cgroups.bounds_memory()) launch.data_bytes_max = memory_bytes;
  Result<int> pipe = processes_.start(key, std::move(launch));
  if (!pipe) parts_.cgroups.remove(rank.cgroup);
  return pipe;
}

void Loop::carry_out(const StartRank& effect) {
  const RankKey key{effect.order->fence, effect.order->ranks[effect.index].rank};
  const std::filesystem::path log = attempt_folder(parts_.options.state, key.fence) / log_name(key.rank);
  LiveRank& rank =
      ranks_.try_emplace(key, LiveRank{LogTail(log), std::nullopt, {}, std::nullopt}).first->second;
  const Result<int> pipe = launch(effect, rank);
  if (pipe) {
    rank.pipe.emplace(*pipe);
  } else {
    log_.warn("rank_not_started", {{"fence", key.fence.value}, {"reason", pipe.error().message}});
    rank.tail.finish();
    happened(RankNotStarted{key, pipe.error().message});
  }
}

void Loop::carry_out(const ForgetRank& effect) {
  ranks_.erase(effect.key);
  const auto next = ranks_.lower_bound(RankKey{effect.key.fence, RankId{0}});
  if (next == ranks_.end() || next->first.fence != effect.key.fence) folders_.ended(effect.key.fence);
}

void Loop::carry_out(const ResendLogs&) {
  flush_reports();
  for (auto& [key, rank] : ranks_) {
    rank.tail.rewind();
    // The ends that the agent is about to send again come after the logs.
    if (!rank.pipe && !send_log(key, rank, kLogPiecesAtEnd)) return;
  }
}

void Loop::carry_out(const RefuseStart& effect) {
  log_.warn("start_refused", {{"fence", effect.fence.value}, {"reason", effect.reason}});
}

void Loop::carry_out(const SayReady&) {
  wire::systemd_notify("READY=1");
  log_.info("worker_ready", {{"node", parts_.identity.node}, {"coordinator", parts_.options.coordinator}});
}

}  // namespace paddock::worker
