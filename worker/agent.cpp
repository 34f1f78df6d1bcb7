#include "worker/agent.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <set>

#include "base/check.h"
#include "base/limits.h"
#include "base/planted_bug.h"

namespace paddock::worker {
namespace {

constexpr Millis kJoinEvery = std::chrono::seconds(1);
constexpr Millis kResendAfter = std::chrono::seconds(3);
constexpr Millis kFlushFor = std::chrono::seconds(2);
constexpr std::size_t kAttemptsRemembered = 1'000;
constexpr std::size_t kAsksRemembered = 64;
// Sent and not yet acknowledged; the rest waits its turn, so that a message stays far below kMessageBytesMax.
constexpr std::size_t kReportsInFlight = 256;
constexpr std::size_t kReportBytesUnackedMax = 64u << 20;
static_assert(kReportBytesInFlight + limits::kReportLineBytesMax < limits::kMessageBytesMax);

std::string describe_end(const RankEnded& event, const std::string& end_reason) {
  std::string text = event.signal != 0 ? "killed by signal " + std::to_string(event.signal)
                                       : "exited " + std::to_string(event.exit_code);
  if (event.out_of_memory) text += ", out of memory";
  if (!event.gpu_fault.empty()) text += ", on a faulty GPU (" + event.gpu_fault + ")";
  if (!end_reason.empty()) text += " (" + end_reason + ")";
  return text;
}

}  // namespace

void Agent::apply(const Event& event, Instant now, Effects& effects) {
  keep_lease(now, effects);  // first: no event may come between a lapse and its consequence
  std::visit([&](const auto& what) { on(what, now, effects); }, event);
  keep_deadlines(now, effects);
  keep_asking(now, effects);
  keep_stopping(now, effects);
}

void Agent::on(const Connected&, Instant now, Effects&) {
  joined_ = false;
  next_ask_ = now;
}

void Agent::on(const LeaseReceived& event, Instant now, Effects& effects) {
  const std::optional<Instant> sent = sent_at(event.sequence);
  const bool answers_last_join = event.sequence >= join_sequence_;
  if (!event.joined) {
    // What was asked before the last join is answered by it. An answer to the join itself must not turn into
    // a race, unless it tells what the next one has to say.
    if (!answers_last_join) return;
    const bool must_say_else = event.follow != 0 && event.follow != follows_;
    if (event.sequence > join_sequence_ || must_say_else) next_ask_ = now;
    if (must_say_else) follows_ = event.follow;
    joined_ = false;
    return;
  }
  if (event.lease <= Millis(0)) return;
  if (sent && *sent + event.lease * 7 / 8 > now && (!has_lease_ || *sent + event.lease > lease_until_)) {
    lease_until_ = *sent + event.lease * (is_planted(PlantedBug::kOutliveLease) ? 2 : 1);
    lease_ = event.lease;
    has_lease_ = true;
    effects.push_back(ExtendLease{lease_kill_at()});
  }
  if (!joined_ && answers_last_join && has_lease_) {
    joined_ = true;
    next_ask_ = now + lease_ / 4;
    sent_up_to_ = 0;
    effects.push_back(ResendLogs{});
    send_progress(effects);
    send_reports(now, effects);
  }
  if (has_lease_ && !was_ready_) {
    was_ready_ = true;
    effects.push_back(SayReady{});
  }
}

void Agent::on(const ReportsAcknowledged& event, Instant now, Effects& effects) {
  const std::uint64_t up_to = std::min(event.up_to, next_report_ - 1);
  while (!reports_.empty() && reports_.front().number <= up_to) {
    const Report& report = reports_.front();
    if (std::holds_alternative<Ended>(report.finding)) effects.push_back(ForgetRank{report.key});
    report_bytes_ -= bytes_of(report.finding);
    reports_.pop_front();
    resend_at_ = now + kResendAfter;
  }
  sent_up_to_ = std::max(sent_up_to_, up_to);
  send_reports(now, effects);
}

std::optional<Instant> Agent::sent_at(std::uint64_t sequence) const {
  const auto asked = asked_.find(sequence);
  return asked == asked_.end() ? std::nullopt : std::optional(asked->second);
}

std::optional<std::string> Agent::refusal_of(const StartOrder& order, Instant now) const {
  if (is_stopping_) return "the worker is stopping";
  if (!has_lease_) return "there is no lease";
  if (order.asked != 0) {
    const std::optional<Instant> asked = sent_at(order.asked);
    if (!asked || *asked + lease_ * 7 / 8 <= now) return "the order has been under way for too long";
  }
  if (order.ranks.size() > limits::kRanksPerAttemptMax) return "too many ranks";
  const auto known = attempts_.find(order.fence);
  if (known != attempts_.end()) {
    if (known->second.is_closed) return "the attempt was ended";
  } else if (order.fence <= forgotten_) {
    return "the attempt is over";
  }
  const auto newest = newest_.find(order.job);
  if (newest != newest_.end() && newest->second > order.fence) return "a newer attempt of the job was here";
  return std::nullopt;
}

void Agent::on(const StartAsked& event, Instant now, Effects& effects) {
  const StartOrder& order = *event.order;
  if (auto reason = refusal_of(order, now)) {
    effects.push_back(RefuseStart{order.fence, std::move(*reason)});
    return;
  }
  for (const Fence fence : live_) {
    Attempt& attempt = attempts_.at(fence);
    if (attempt.job == order.job && fence < order.fence) {
      end_attempt(fence, attempt, {Millis(0), "a newer attempt of the job starts"}, now, effects);
    }
  }
  Attempt& attempt = attempts_[order.fence];
  attempt.job = order.job;
  newest_[order.job] = order.fence;
  for (std::size_t index = 0; index < order.ranks.size(); ++index) {
    const bool is_new = attempt.ranks.try_emplace(order.ranks[index].rank).second;
    if (!is_new) continue;
    live_.insert(order.fence);
    effects.push_back(StartRank{event.order, index});
  }
  forget_old_attempts();
}

void Agent::forget_old_attempts() {
  for (auto at = attempts_.begin(); at != attempts_.end() && attempts_.size() > kAttemptsRemembered;) {
    const bool is_over = std::ranges::all_of(
        at->second.ranks, [](const auto& entry) { return entry.second.state == RankState::kEnded; });
    if (!is_over) {
      ++at;
      continue;
    }
    forgotten_ = std::max(forgotten_, at->first);
    const auto newest = newest_.find(at->second.job);
    if (newest != newest_.end() && newest->second == at->first) newest_.erase(newest);
    at = attempts_.erase(at);
  }
}

void Agent::on(const EndAsked& event, Instant now, Effects& effects) {
  if (event.fence <= forgotten_ && !attempts_.contains(event.fence)) return;
  // Also for an attempt that never came here: its start may still be on its way.
  end_attempt(event.fence, attempts_[event.fence], {event.grace, event.reason}, now, effects);
  forget_old_attempts();
}

void Agent::end_attempt(Fence fence, Attempt& attempt, const Ending& ending, Instant now, Effects& effects) {
  attempt.is_closed = true;
  for (auto& [id, rank] : attempt.ranks) {
    if (rank.state == RankState::kEnded || rank.is_killed) continue;
    const RankKey key{fence, id};
    const Instant kill_at = now + std::max(ending.grace, Millis(0));
    if (!rank.kill_at) {
      rank.kill_at = kill_at;
      rank.end_reason = ending.reason;
      rank.is_node_fault = ending.is_node_fault;
      if (ending.grace > Millis(0)) effects.push_back(TerminateRank{key});
    }
    rank.kill_at = std::min(*rank.kill_at, kill_at);
  }
}

Agent::Rank* Agent::find(const RankKey& key) {
  const auto attempt = attempts_.find(key.fence);
  if (attempt == attempts_.end()) return nullptr;
  const auto rank = attempt->second.ranks.find(key.rank);
  return rank == attempt->second.ranks.end() ? nullptr : &rank->second;
}

void Agent::mark_ended(Fence fence, Rank& rank) {
  rank.state = RankState::kEnded;
  const bool is_over = std::ranges::all_of(
      attempts_.at(fence).ranks, [](const auto& entry) { return entry.second.state == RankState::kEnded; });
  if (is_over) live_.erase(fence);
}

void Agent::on(const RankStarted& event, Instant now, Effects& effects) {
  Rank* rank = find(event.key);
  PADDOCK_CHECK(rank != nullptr && rank->state == RankState::kStarting, event.key.fence, event.key.rank);
  rank->state = RankState::kRunning;
  report(event.key, Started{event.pid}, now, effects);
}

void Agent::on(const RankNotStarted& event, Instant now, Effects& effects) {
  Rank* rank = find(event.key);
  PADDOCK_CHECK(rank != nullptr && rank->state == RankState::kStarting, event.key.fence, event.key.rank);
  mark_ended(event.key.fence, *rank);
  report(event.key, Ended{-1, 0, "could not start: " + event.reason, false, false}, now, effects);
}

void Agent::on(const RankEnded& event, Instant now, Effects& effects) {
  Rank* rank = find(event.key);
  PADDOCK_CHECK(rank != nullptr && rank->state != RankState::kEnded, event.key.fence, event.key.rank);
  mark_ended(event.key.fence, *rank);
  progress_.erase(event.key);
  const std::int32_t exit_code = event.signal != 0 ? -1 : event.exit_code;
  const bool has_failed = exit_code != 0;
  report(event.key,
         Ended{exit_code, event.signal, describe_end(event, rank->end_reason), event.out_of_memory,
               rank->is_node_fault || (has_failed && !event.gpu_fault.empty())},
         now, effects);
}

// A report like a rank's, so that it is known before the rank's end is, and is not lost.
void Agent::on(const GpuFaulted& event, Instant now, Effects& effects) {
  report(RankKey{}, GpuFault{event.uuid, event.reason}, now, effects);
}

void Agent::on(const RankSaid& event, Instant now, Effects& effects) {
  if (const auto* progress = std::get_if<Progress>(&event.saying)) {
    progress_[event.key] = *progress;
    if (joined_) effects.push_back(SendReports{{Report{0, event.key, *progress}}, 0});
    return;
  }
  std::visit([&](const auto& saying) { report(event.key, saying, now, effects); }, event.saying);
}

void Agent::on(const StopAsked& event, Instant now, Effects& effects) {
  is_stopping_ = true;
  for (auto& [fence, attempt] : attempts_)
    end_attempt(fence, attempt, {event.grace, "the worker stops", true}, now, effects);
}

bool Agent::is_full() const {
  return reports_.size() >= limits::kReportsUnackedMax || report_bytes_ >= kReportBytesUnackedMax;
}

bool Agent::takes_sayings() const {
  return !is_full();
}

// Gives up checkpoints that a newer one of their attempt follows, the oldest first, and many at once: each look goes
// over all that wait.
void Agent::make_room() {
  if (!is_full()) return;
  std::set<Fence> followed;
  std::vector<std::uint64_t> dispensable;  // newest first
  for (auto at = reports_.rbegin(); at != reports_.rend(); ++at) {
    const bool is_checkpoint = std::holds_alternative<Checkpoint>(at->finding);
    if (is_checkpoint && !followed.insert(at->key.fence).second) dispensable.push_back(at->number);
  }
  const std::size_t count = std::min(dispensable.size(), limits::kReportsUnackedMax / 4);
  const std::set<std::uint64_t> given_up(dispensable.end() - static_cast<std::ptrdiff_t>(count),
                                         dispensable.end());
  for (const Report& report : reports_) {
    if (given_up.contains(report.number)) report_bytes_ -= bytes_of(report.finding);
  }
  std::erase_if(reports_, [&](const Report& report) { return given_up.contains(report.number); });
  reports_dropped_ += count;
}

void Agent::report(const RankKey& key, Finding finding, Instant now, Effects& effects) {
  report_bytes_ += bytes_of(finding);
  reports_.push_back(Report{next_report_++, key, std::move(finding)});
  make_room();
  send_reports(now, effects);
}

void Agent::send_progress(Effects& effects) {
  SendReports batch;
  for (const auto& [key, progress] : progress_) batch.reports.push_back(Report{0, key, progress});
  if (!batch.reports.empty()) effects.push_back(std::move(batch));
}

void Agent::send_reports(Instant now, Effects& effects) {
  if (!joined_) return;
  std::size_t count = 0;
  std::size_t bytes = 0;
  SendReports batch;
  std::uint64_t before = 0;
  for (const Report& report : reports_) {
    ++count;
    bytes += bytes_of(report.finding);
    if (count > kReportsInFlight || (bytes > kReportBytesInFlight && count > 1)) break;
    if (report.number > sent_up_to_) {
      if (batch.reports.empty()) batch.after = before;
      batch.reports.push_back(report);
      sent_up_to_ = report.number;
    }
    before = report.number;
  }
  if (batch.reports.empty()) return;
  // By when the oldest must be acknowledged: newer ones that follow it must not put that off.
  if (batch.after == 0) resend_at_ = now + kResendAfter;
  effects.push_back(std::move(batch));
}

// Promise 1. What is left of the lease when we kill is for the kernel to carry it out.
void Agent::keep_lease(Instant now, Effects& effects) {
  if (!has_lease_ || now < lease_kill_at()) return;
  has_lease_ = false;
  joined_ = false;
  next_ask_ = std::min(next_ask_, now);
  for (auto& [fence, attempt] : attempts_)
    end_attempt(fence, attempt, {Millis(0), "lease lapsed", true}, now, effects);
}

void Agent::keep_deadlines(Instant now, Effects& effects) {
  for (const Fence fence : live_) {
    for (auto& [id, rank] : attempts_.at(fence).ranks) {
      if (rank.state == RankState::kEnded || rank.is_killed || !rank.kill_at || *rank.kill_at > now) continue;
      rank.is_killed = true;
      effects.push_back(KillRank{RankKey{fence, id}});
    }
  }
  if (joined_ && !reports_.empty() && sent_up_to_ >= reports_.front().number && now >= resend_at_) {
    sent_up_to_ = 0;
    send_reports(now, effects);
  }
}

void Agent::keep_asking(Instant now, Effects& effects) {
  if (is_done_ || now < next_ask_) return;
  ++sequence_;
  asked_[sequence_] = now;
  if (asked_.size() > kAsksRemembered) asked_.erase(asked_.begin());
  if (joined_) {
    effects.push_back(SendHeartbeat{sequence_, held()});
    next_ask_ = now + lease_ / 4;
  } else {
    join_sequence_ = sequence_;
    const std::uint64_t first_report = reports_.empty() ? next_report_ : reports_.front().number;
    effects.push_back(SendJoin{sequence_, held(), first_report, follows_});
    next_ask_ = now + kJoinEvery;
  }
}

void Agent::keep_stopping(Instant now, Effects& effects) {
  if (!is_stopping_ || is_done_ || !held().empty()) return;
  if (!flush_until_) flush_until_ = now + kFlushFor;
  if (joined_ && !reports_.empty() && now < *flush_until_) return;
  is_done_ = true;
  if (joined_) effects.push_back(SendLeave{});
  effects.push_back(Exit{});
}

Instant Agent::next_wake() const {
  Instant wake{std::numeric_limits<std::int64_t>::max()};
  if (is_done_) return wake;
  wake = next_ask_;
  if (has_lease_) wake = std::min(wake, lease_kill_at());
  if (joined_ && !reports_.empty()) wake = std::min(wake, resend_at_);
  if (flush_until_) wake = std::min(wake, *flush_until_);
  for (const Fence fence : live_) {
    for (const auto& [id, rank] : attempts_.at(fence).ranks) {
      if (rank.state != RankState::kEnded && !rank.is_killed && rank.kill_at)
        wake = std::min(wake, *rank.kill_at);
    }
  }
  return wake;
}

std::vector<RankKey> Agent::held() const {
  std::vector<RankKey> keys;
  for (const Fence fence : live_) {
    for (const auto& [id, rank] : attempts_.at(fence).ranks) {
      if (rank.state != RankState::kEnded) keys.push_back(RankKey{fence, id});
    }
  }
  return keys;
}

}  // namespace paddock::worker
