#include "worker/loop.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <ctime>

#include "base/limits.h"
#include "wire/systemd_notify.h"
#include "worker/clock.h"
#include "worker/launch.h"
#include "worker/messages.h"

namespace paddock::worker {
namespace {

constexpr Millis kLogsEvery = std::chrono::milliseconds(200);
constexpr int kLogPiecesPerTurn = 4;  // of a rank that runs: a loud one must not drown the others
constexpr int kLogPiecesAtEnd = 64;   // of one that has ended, so that its log comes before its end
constexpr std::uint64_t kLogBytesInFlight =
    8 * limits::kLogChunkBytesMax;  // that the coordinator has not taken yet
constexpr Millis kBoundEvery = std::chrono::seconds(1);
constexpr Millis kEndWaitsForGpuNews = std::chrono::seconds(4);
constexpr Millis kEndWaitsForLog =
    std::chrono::seconds(2);  // then it is told, and the rest of the log follows
constexpr int kMessagesPerTurn = 256;
constexpr std::size_t kRanksOfACrowd = 4;
constexpr std::chrono::microseconds kBetweenTurns{500};
static_assert(kBetweenTurns < std::chrono::seconds(1));
constexpr Millis kLinger = std::chrono::seconds(1);
// How long the news that a rank has started waits for others to go with: the end of a short one, most likely.
constexpr Millis kHoldStarted{2};

template <typename... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};

}  // namespace

Loop::Loop(Parts parts)
    : parts_(std::move(parts)),
      log_(parts_.log),
      processes_(parts_.options.guard_command),
      agent_(boot_now()),
      folders_(parts_.options.state, parts_.options.attempts_kept) {
  for (char** entry = environ; *entry != nullptr; ++entry) environment_.emplace_back(*entry);
  parts_.client.linger(kLinger);
}

Millis Loop::time_to_wake() {
  Instant wake = agent_.next_wake();
  const bool are_logs_open =
      std::ranges::any_of(ranks_, [](const auto& entry) { return !entry.second.tail.is_over(); });
  if (are_logs_open) wake = std::min(wake, agent_.is_joined() ? logs_at_ : bound_at_);
  if (hold_until_) wake = std::min(wake, *hold_until_);
  wake = std::min(wake, parts_.gpus.next_wake());
  for (const auto& [key, rank] : ranks_) {
    if (!rank.ended) continue;
    const bool waits_for_log = boot_now() < rank.ended_at + kEndWaitsForLog;
    wake = std::min(wake, rank.ended_at + (waits_for_log ? kEndWaitsForLog : kEndWaitsForGpuNews));
  }
  timer_.set(wake);
  return std::clamp(wake - boot_now(), Millis(0), Millis(std::chrono::hours(1)));
}

std::vector<int> Loop::descriptors() const {
  std::vector<int> descriptors = processes_.descriptors();
  descriptors.push_back(parts_.signals.number());
  if (parts_.gpus.descriptor() >= 0) descriptors.push_back(parts_.gpus.descriptor());
  if (timer_.descriptor() >= 0) descriptors.push_back(timer_.descriptor());
  for (const auto& [key, rank] : ranks_) {
    if (agent_.takes_sayings() && rank.pipe && rank.pipe->descriptor() >= 0)
      descriptors.push_back(rank.pipe->descriptor());
  }
  return descriptors;
}

// With many ranks something happens all the time: what comes within half a millisecond is one turn's. With few
// nobody waits. Only a signal ends it sooner. True: time has passed.
bool Loop::gather() {
  const std::chrono::nanoseconds left = turn_at_ + kBetweenTurns - std::chrono::steady_clock::now();
  const bool waits = ranks_.size() >= kRanksOfACrowd && left > std::chrono::nanoseconds(0);
  if (waits) {
    pollfd signal{parts_.signals.number(), POLLIN, 0};
    const timespec at_most{0, static_cast<long>(left.count())};
    ::ppoll(&signal, 1, &at_most, nullptr);
  }
  turn_at_ = std::chrono::steady_clock::now();
  return waits;
}

Result<void> Loop::wait() {
  const std::vector<int> all = descriptors();
  TRY_ASSIGN(wire::Ready ready, parts_.client.wait(time_to_wake(), all), "waiting for something to happen");
  if (gather()) {
    TRY_ASSIGN(ready, parts_.client.wait(Millis(0), all), "looking what happened");
  }
  readable_ = {ready.readable.begin(), ready.readable.end()};
  return {};
}

Result<void> Loop::run() {
  while (!is_done_) {
    TRY(wait(), "the worker's loop");
    watch_connection();
    read_signals();
    read_messages();
    read_pipes();
    read_processes();
    watch_gpus();
    bound_logs();
    send_logs();
    tell_ends();
    forget_sent();
    happened(TimePassed{});
    decide();
  }
  processes_.end_idle_guards();
  parts_.cgroups.close();
  log_.info("worker_stopped", {{"node", parts_.identity.node}});
  return {};
}

void Loop::watch_connection() {
  if (const std::uint64_t made = parts_.client.connections(); made != connections_) {
    connections_ = made;
    takes_logs_ = false;  // until it says so
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
    if (envelope->message().isLogsTaken()) {
      take_log_positions(envelope->message());
      continue;
    }
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
    if (!agent_.takes_sayings()) return;  // it waits, and nothing is lost
    if (!rank.pipe || !readable_.contains(rank.pipe->descriptor())) continue;
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
  rank.ended_at = boot_now();
  rank.signs_of_life = parts_.gpus.signs_of_life();
  log_.info("rank_ended", {{"fence", key.fence.value},
                           {"rank", key.rank.value},
                           {"exit_code", event.exit_code},
                           {"signal", event.signal},
                           {"out_of_memory", event.out_of_memory ? "yes" : "no"}});
}

void Loop::read_processes() {
  for (const ProcessNews& news : processes_.collect(readable_, parts_.gpus.pids())) {
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

void Loop::take_log_positions(wire::Message::Reader message) {
  takes_logs_ = true;
  for (const LogTaken& position : to_log_positions(message)) {
    const auto at = ranks_.find(position.key);
    if (at == ranks_.end()) continue;
    LogTail& tail = at->second.tail;
    if (position.unwanted)
      tail.give_up();
    else if (position.again)
      tail.go_to(position.bytes);
    else
      tail.taken(position.bytes);
  }
}

// Whether it is connected or not: a rank that writes without end must not fill the disk.
void Loop::bound_logs() {
  const Instant now = boot_now();
  if (now < bound_at_) return;
  bound_at_ = now + kBoundEvery;
  for (auto& [key, rank] : ranks_) {
    const std::uint64_t lost = rank.tail.bound(parts_.options.log_spool_bytes);
    if (lost == 0) continue;
    log_.warn("log_dropped", {{"fence", key.fence.value},
                              {"rank", key.rank.value},
                              {"bytes", lost},
                              {"bytes_in_all", rank.tail.bytes_dropped()}});
  }
}

std::uint64_t Loop::log_bytes_in_flight() const {
  std::uint64_t bytes = 0;
  for (const auto& [key, rank] : ranks_) bytes += rank.tail.bytes_in_flight();
  return bytes;
}

// False: no more can be sent now.
bool Loop::send_log(const RankKey& key, LiveRank& rank, int pieces) {
  for (; pieces > 0; --pieces) {
    if (takes_logs_ && log_bytes_in_flight() >= kLogBytesInFlight) return false;
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
  const Instant now = boot_now();
  const bool is_due = now >= logs_at_;
  if (is_due) logs_at_ = now + kLogsEvery;
  for (auto& [key, rank] : ranks_) {
    const bool has_just_ended = rank.ended.has_value() || rank.is_forgotten;
    if (!is_due && !has_just_ended) continue;
    if (!send_log(key, rank, has_just_ended ? kLogPiecesAtEnd : kLogPiecesPerTurn)) return;
  }
}

void Loop::watch_gpus() {
  parts_.gpus.turn(boot_now());
  for (const auto& [uuid, reason] : parts_.gpus.faults()) {
    const bool is_offered =
        std::ranges::any_of(parts_.identity.gpus, [&](const Gpu& gpu) { return gpu.uuid == uuid; });
    if (is_offered && faults_told_.insert(uuid).second) happened(GpuFaulted{uuid, reason});
  }
}

// What the driver had to say about the device by the time a rank failed is here with its next but one sign of life: the next
// may have been on its way, or comes from a round that was under way.
bool Loop::waits_for_gpu_news(const LiveRank& rank) const {
  const bool has_failed = rank.ended->exit_code != 0 || rank.ended->signal != 0;
  return has_failed && !rank.gpus.empty() && parts_.gpus.is_alive() &&
         parts_.gpus.signs_of_life() < rank.signs_of_life + 2;
}

// A rank's end is told after its log, unless that cannot be sent now or is long: then the rest follows.
void Loop::tell_ends() {
  const Instant now = boot_now();
  for (auto& [key, rank] : ranks_) {
    const bool waits = agent_.is_joined() && !rank.tail.is_over() && now < rank.ended_at + kEndWaitsForLog;
    if (!rank.ended || waits || (waits_for_gpu_news(rank) && now < rank.ended_at + kEndWaitsForGpuNews))
      continue;
    for (const std::string& uuid : rank.gpus) {
      const auto fault = parts_.gpus.faults().find(uuid);
      if (fault != parts_.gpus.faults().end()) rank.ended->gpu_fault = uuid + ": " + fault->second;
    }
    happened(*std::exchange(rank.ended, std::nullopt));
  }
}

// And has come, where the coordinator says so.
bool Loop::is_log_sent(const LiveRank& rank) const {
  return rank.tail.is_over() && (!takes_logs_ || rank.tail.bytes_in_flight() == 0);
}

void Loop::forget(std::map<RankKey, LiveRank>::iterator rank) {
  const Fence fence = rank->first.fence;
  ranks_.erase(rank);
  const auto next = ranks_.lower_bound(RankKey{fence, RankId{0}});
  if (next == ranks_.end() || next->first.fence != fence) folders_.ended(fence);
}

void Loop::forget_sent() {
  for (auto at = ranks_.begin(); at != ranks_.end();) {
    const auto rank = at++;
    if (rank->second.is_forgotten && is_log_sent(rank->second)) forget(rank);
  }
}

void Loop::decide() {
  while (!events_.empty()) {
    const Event event = std::move(events_.front());
    events_.pop_front();
    Effects effects;
    const bool had_lease = agent_.has_lease();
    agent_.apply(event, boot_now(), effects);
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
  if (!hold_until_) hold_until_ = boot_now() + kHoldStarted;
  if (!is_only_started || boot_now() >= *hold_until_) flush_reports();
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
  send_message(builder);
}

void Loop::send_message(capnp::MessageBuilder& builder) {
  const Result<void> sent = parts_.client.send(builder);
  if (sent || sent.error().code == Code::kUnavailable) return;  // nobody there: the agent asks again
  log_.error("message_not_sent", {{"message", sent.error().message}});
}

Result<int> Loop::launch(const StartRank& effect, LiveRank& rank) {
  const WorkerOptions& options = parts_.options;
  const RankKey key{effect.order->fence, effect.order->ranks[effect.index].rank};
  const auto user = parts_.tenant_users.user_of(effect.order->tenant);
  if (!user) return tl::unexpected(user.error());
  TRY_ASSIGN(GuardLaunch launch,
             prepare_launch(*effect.order, effect.index, folders_, options.runner, environment_, *user),
             "preparing the rank");
  const std::uint64_t memory_bytes = effect.order->memory_bytes_per_rank;
  TRY_ASSIGN(rank.cgroup, parts_.cgroups.make(key, memory_bytes), "bounding the rank");
  launch.cgroups = rank.cgroup.folders;
  launch.is_guard_in_cgroups = !rank.cgroup.has_limit && !rank.cgroup.folders.empty();
  if (!parts_.cgroups.bounds_memory()) launch.data_bytes_max = memory_bytes;
  Result<int> pipe = processes_.start(key, std::move(launch));
  if (!pipe) parts_.cgroups.remove(rank.cgroup);
  return pipe;
}

void Loop::carry_out(const StartRank& effect) {
  const RankKey key{effect.order->fence, effect.order->ranks[effect.index].rank};
  const std::filesystem::path log = attempt_folder(parts_.options.state, key.fence) / log_name(key.rank);
  LiveRank& rank = ranks_.try_emplace(key, LiveRank(log)).first->second;
  rank.gpus = effect.order->ranks[effect.index].gpus;
  const Result<int> pipe = launch(effect, rank);
  if (pipe) {
    rank.pipe.emplace(*pipe);
  } else {
    log_.warn("rank_not_started", {{"fence", key.fence.value}, {"reason", pipe.error().message}});
    rank.tail.finish();
    happened(RankNotStarted{key, pipe.error().message});
  }
}

void Loop::carry_out(const SendJoin& effect) {
  std::vector<RankKey> logs;
  for (const auto& [key, rank] : ranks_) logs.push_back(key);
  flush_reports();
  capnp::MallocMessageBuilder builder;
  write(builder, parts_.identity, effect, logs);
  send_message(builder);
}

void Loop::carry_out(const ForgetRank& effect) {
  const auto rank = ranks_.find(effect.key);
  if (rank == ranks_.end()) return;
  rank->second.is_forgotten = true;
  if (is_log_sent(rank->second)) forget(rank);
}

void Loop::carry_out(const ResendLogs&) {
  flush_reports();
  for (auto& [key, rank] : ranks_) {
    if (!takes_logs_) rank.tail.go_to(0);  // else it has told from where
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
