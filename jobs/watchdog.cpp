#include "jobs/watchdog.h"

#include <dirent.h>
#include <execinfo.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <utility>
#include <vector>

namespace paddock::jobs {
namespace {

using std::chrono::duration_cast;
using std::chrono::seconds;

constexpr std::size_t kRemembered = 32, kStepsMin = 10, kPhasesMin = 3;
constexpr int kUnusual = 5;      // so many times the usual
constexpr int kSilentBeats = 3;  // a rank that missed them gives no sign of life

constexpr int kFramesMax = 64;
constexpr int kStackSignal = SIGUSR2;

sem_t written;

// In a signal handler: only what is safe there. backtrace() is, once libgcc is loaded, which write_all_stacks sees to.
void write_own_stack(int) {
  const int saved = errno;
  void* frames[kFramesMax];
  const int count = backtrace(frames, kFramesMax);
  backtrace_symbols_fd(frames, count, STDERR_FILENO);
  sem_post(&written);
  errno = saved;
}

std::vector<pid_t> threads_of_process() {
  std::vector<pid_t> threads;
  DIR* directory = opendir("/proc/self/task");
  if (directory == nullptr) return threads;
  while (const dirent* entry = readdir(directory)) {
    if (entry->d_name[0] != '.')
      threads.push_back(static_cast<pid_t>(std::strtol(entry->d_name, nullptr, 10)));
  }
  closedir(directory);
  return threads;
}

}  // namespace

void write_all_stacks() {
  void* frames[1];
  backtrace(frames, 1);  // loads libgcc here, where that is safe
  sem_init(&written, 0, 0);
  struct sigaction action = {};
  action.sa_handler = write_own_stack;
  action.sa_flags = SA_RESTART;
  sigaction(kStackSignal, &action, nullptr);
  const auto own = static_cast<pid_t>(syscall(SYS_gettid));
  for (const pid_t thread : threads_of_process()) {
    if (thread == own) continue;
    dprintf(STDERR_FILENO, "stack of thread %d:\n", thread);
    if (syscall(SYS_tgkill, getpid(), thread, kStackSignal) != 0) continue;  // it has just ended
    timespec until = {};
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 1;
    while (sem_timedwait(&written, &until) != 0) {
      if (errno == EINTR) continue;
      dprintf(STDERR_FILENO, "  (does not answer)\n");
      break;
    }
  }
}

struct Watchdog::Board {
  struct Entry {
    std::optional<Whereabouts> last;
    Clock::time_point changed_at;
  };

  std::mutex mutex;
  std::condition_variable changed;
  bool is_stopping = false, is_calling = false, is_noticing = false;
  Whereabouts own{.beat = 0, .phase = "starting"};
  Clock::time_point since = Clock::now();
  std::optional<Clock::duration> notice_after, suspect_after;
  std::optional<Culprit> noticed;
  std::vector<Entry> ranks;  // as they were last heard of
  Clock::time_point answered_at =
      Clock::now();  // the last call, as far as one can tell: what is only said may be heard by nobody
  std::chrono::milliseconds beat{0};
  std::function<std::uint64_t()> operations;  // not after is_stopping

  Whereabouts say() {
    ++own.beat;
    if (operations) own.operations = operations();
    own.in_phase = duration_cast<std::chrono::milliseconds>(Clock::now() - since);
    return own;
  }

  void hear(const std::vector<std::optional<Whereabouts>>& answers, Clock::time_point now) {
    ranks.resize(answers.size(), {std::nullopt, now});
    for (std::size_t i = 0; i < answers.size(); ++i) {
      if (answers[i] != ranks[i].last) ranks[i] = {answers[i], now};
    }
  }
};

void Watchdog::Usual::add(Clock::duration took) {
  if (last_.size() < kRemembered)
    last_.push_back(took);
  else
    last_[next_++ % kRemembered] = took;
}

Watchdog::Clock::duration Watchdog::Usual::median() const {
  auto sorted = last_;
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  return *middle;
}

Watchdog::Watchdog(const WatchdogOptions& options, WatchdogCalls calls, std::shared_ptr<RollCall> others)
    : options_(options),
      calls_(std::move(calls)),
      board_(std::make_shared<Board>()),
      step_since_(board_->since) {
  board_->beat = options_.beat;
  board_->operations = calls_.operations;
  suspect();
  if (others) {
    board_->is_calling = true;
    calling_ = std::thread(call_roll, board_, std::move(others));
  }
  watching_ = std::thread([this] { watch(); });
}

Watchdog::~Watchdog() {
  std::unique_lock lock(board_->mutex);
  board_->is_stopping = true;
  board_->changed.notify_all();
  // A rank that is stopped may leave a question unanswered for ever.
  const bool is_answered =
      board_->changed.wait_for(lock, 2 * options_.beat, [this] { return !board_->is_calling; });
  lock.unlock();
  watching_.join();
  if (!calling_.joinable()) return;
  if (is_answered)
    calling_.join();
  else
    calling_.detach();
}

void Watchdog::enter(const char* phase, std::int64_t step, bool is_waiting) {
  std::unique_lock lock(board_->mutex);
  Board& board = *board_;
  board.changed.wait(lock, [&] { return !board.is_noticing; });  // that it went on is said after it
  const auto now = Clock::now();
  learn_usual(now, step);
  const auto took = now - board.since;
  const auto noticed = std::exchange(board.noticed, std::nullopt);
  board.own.phase = phase;
  board.own.step = step;
  board.own.is_waiting = is_waiting;
  board.since = now;
  board.ranks.clear();
  board.notice_after.reset();
  suspect();
  const Usual& alike = phases_[phase];
  if (steps_.count() >= kStepsMin && alike.count() >= kPhasesMin) {
    board.notice_after = std::max<Clock::duration>(options_.notice_least,
                                                   kUnusual * std::max(steps_.median(), alike.median()));
    suspect();
  }
  phase_ = phase;
  lock.unlock();
  if (noticed && calls_.went_on) calls_.went_on(*noticed, std::chrono::duration<double>(took).count());
}

// A part of the time until something is said or ended is enough to see who is silent.
void Watchdog::suspect() {
  board_->suspect_after.reset();
  if (options_.limit.count() > 0) board_->suspect_after = options_.limit / 2;
  if (!board_->notice_after) return;
  const Clock::duration quarter = *board_->notice_after / 4;
  board_->suspect_after = std::min(quarter, board_->suspect_after.value_or(quarter));
}

void Watchdog::learn_usual(Clock::time_point now, std::int64_t step) {
  phases_[phase_].add(now - board_->since);
  if (step == board_->own.step) return;
  steps_.add(now - step_since_);
  step_since_ = now;
}

Watchdog::Clock::time_point Watchdog::end_at() const {
  if (options_.limit.count() == 0) return Clock::time_point::max();
  return board_->since + (board_->own.is_waiting ? options_.limit * 3 / 2 : options_.limit);
}

// Somebody is silent, look after look: after this machine itself has stood still, the first looks mean nothing.
bool Watchdog::is_in_vain(Clock::time_point now) {
  const bool is_silent = options_.silence_limit.count() > 0 && board_->noticed &&
                         culprit(now).silent_for >= options_.silence_limit;
  looks_in_vain_ = is_silent ? looks_in_vain_ + 1 : 0;
  return looks_in_vain_ >= kSilentBeats;
}

void Watchdog::watch() {
  std::unique_lock lock(board_->mutex);
  Board& board = *board_;
  while (!board.is_stopping) {
    const auto now = Clock::now();
    if (now >= end_at() || is_in_vain(now)) {
      const std::string sentence = end_sentence(now);
      board.is_stopping = true;
      lock.unlock();
      calls_.end(sentence);
      return;
    }
    if (board.notice_after && !board.noticed && now >= board.since + *board.notice_after) {
      board.noticed = culprit(now);
      const Culprit noticed = *board.noticed;
      board.is_noticing = true;
      lock.unlock();
      if (calls_.notice) calls_.notice(noticed);
      lock.lock();
      board.is_noticing = false;
      board.changed.notify_all();
      continue;
    }
    // Often enough for phases that began after it fell asleep.
    board.changed.wait_until(lock, std::min(end_at(), now + options_.beat));
  }
}

std::string Watchdog::end_sentence(Clock::time_point now) const {
  const Whereabouts& own = board_->own;
  const Culprit who = culprit(now);
  return "step " + std::to_string(own.step) + ": " + own.phase + " took " +
         std::to_string(duration_cast<seconds>(now - board_->since).count()) + " s: " +
         (who.rank == options_.rank && who.silent_for.count() == 0 ? "this rank hangs and is ended"
                                                                   : who.sentence + "; this rank is ended");
}

Culprit Watchdog::culprit(Clock::time_point now) const {
  const Board& board = *board_;
  const auto silence_max = kSilentBeats * options_.beat;
  const auto unanswered = duration_cast<std::chrono::milliseconds>(now - board.answered_at);
  if (board.is_calling && unanswered > silence_max) {
    return {0,
            "rank 0, where the ranks meet, has given no sign of life for " +
                std::to_string(duration_cast<seconds>(unanswered).count()) + " s (stopped, or cut off)",
            unanswered};
  }
  std::vector<Heard> heard;
  for (const auto& [last, changed_at] : board.ranks)
    heard.push_back({last, duration_cast<std::chrono::milliseconds>(board.answered_at - changed_at)});
  if (heard.empty()) {  // a rank alone, or one that has not asked
    Whereabouts own = board.own;
    own.in_phase = duration_cast<std::chrono::milliseconds>(now - board.since);
    return {options_.rank, sentence_about(options_.rank, own), {}};
  }
  return who_hangs(heard, silence_max);
}

void Watchdog::call_roll(const std::shared_ptr<Board>& board, const std::shared_ptr<RollCall>& others) {
  std::unique_lock lock(board->mutex);
  while (!board->is_stopping) {
    const Whereabouts own = board->say();
    const bool is_suspicious = board->suspect_after && Clock::now() - board->since > *board->suspect_after;
    lock.unlock();
    std::vector<std::optional<Whereabouts>> answers;
    bool is_answered = false;
    try {
      others->say(own);
      if (is_suspicious) answers = others->ask();
      is_answered = true;
    } catch (const std::exception&) {
      // Tried again at the next beat. That a rank is gone is said by the next operation with it.
    }
    lock.lock();
    if (is_answered) board->answered_at = Clock::now();
    // What was asked before the loop moved on is about another phase.
    if (is_answered && is_suspicious && board->own.phase == own.phase && board->own.step == own.step)
      board->hear(answers, board->answered_at);
    board->changed.wait_for(lock, board->beat, [&] { return board->is_stopping; });
  }
  board->is_calling = false;
  board->changed.notify_all();
}

}  // namespace paddock::jobs
