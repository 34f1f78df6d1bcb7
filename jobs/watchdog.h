// jobs/watchdog.h – names the rank that hangs, and ends what makes no progress after writing where it hangs.
// The loop says what it is about to do. When that takes far longer than usual, the rank that is behind is named: the ranks tell
// each other where they are (jobs/roll_call.h). When it takes longer than the limit, every thread's stack goes to stderr, the
// failure is reported, and the process exits: the attempt ends and is tried again instead of burning a cluster's time.
// A rank that waits for others is given longer, so that the one that hangs ends first – but not where that one gives no sign of life.
// Threads: a Watchdog has one owner and two threads of its own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "jobs/roll_call.h"

namespace paddock::jobs {

struct WatchdogOptions {
  std::chrono::milliseconds limit{
      0};  // for one phase; waiting for other ranks may take half as long again. 0: for ever
  // That another rank may give no sign of life while a phase is noticed: who is stopped or cut off is not waited for. 0: as `limit`.
  std::chrono::milliseconds silence_limit{0};
  std::int64_t rank = 0;
  // A phase is noticed after five usual steps (or phases of its name), but not before this; not at all before a few were seen.
  std::chrono::milliseconds notice_least = std::chrono::seconds(10);
  std::chrono::milliseconds beat = std::chrono::seconds(1);  // between two times that a rank says where it is
};

// What is called when. The first and the last on the watchdog's thread, while the loop hangs: nothing of the loop may be touched.
struct WatchdogCalls {
  std::function<void(const Culprit&)> notice;  // once a phase
  // The phase that was noticed is over, `seconds` after it began; on the loop's thread.
  std::function<void(const Culprit&, double seconds)> went_on;
  std::function<void(const std::string& sentence)> end;  // once
  std::function<std::uint64_t()> operations;             // begun with the others; from any thread
};

class Watchdog {
 public:
  // `others`: empty for a rank alone.
  Watchdog(const WatchdogOptions& options, WatchdogCalls calls, std::shared_ptr<RollCall> others = nullptr);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // `phase`: a literal, "reading pictures". `is_waiting`: for other ranks.
  void enter(const char* phase, std::int64_t step, bool is_waiting = false);

 private:
  using Clock = std::chrono::steady_clock;
  // What took how long, the last ones.
  class Usual {
   public:
    void add(Clock::duration took);
    std::size_t count() const { return last_.size(); }
    Clock::duration median() const;

   private:
    std::vector<Clock::duration> last_;
    std::size_t next_ = 0;
  };
  // What both threads see; it outlives this where the roll call never returns.
  struct Board;

  void watch();
  // All of these with the board's lock.
  void suspect();
  void learn_usual(Clock::time_point now, std::int64_t step);
  Clock::time_point end_at() const;
  bool is_in_vain(Clock::time_point now);
  std::string end_sentence(Clock::time_point now) const;
  Culprit culprit(Clock::time_point now) const;
  static void call_roll(const std::shared_ptr<Board>& board, const std::shared_ptr<RollCall>& others);

  const WatchdogOptions options_;
  const WatchdogCalls calls_;
  const std::shared_ptr<Board> board_;
  const char* phase_ = "starting";
  Usual steps_;
  std::map<const char*, Usual> phases_;
  Clock::time_point step_since_;
  int looks_in_vain_ = 0;           // in a row
  std::thread watching_, calling_;  // last: they use everything above
};

// Writes the stack of every thread of this process to stderr: function names where the program exports them, else addresses
// for addr2line. Uses SIGUSR2. Best effort: a thread that cannot take a signal within a second is named instead.
void write_all_stacks();

}  // namespace paddock::jobs
