// worker/agent.h – decides what a worker does: pure, apply(event, now) → effects.
// Nothing of the outside world is touched here: the daemon and the simulator carry out the effects and bring
// the events.
//
// Promises: 1. Ranks run only under a lease, and are killed before it ends if it cannot be renewed. A lease
// counts from the moment the heartbeat that it answers was sent. 2. A (fence, rank) is started at most once,
// however often it is asked for; a fence older than a newer one of its job is refused, and so is an order that has been
// under way for longer than a lease: by then its attempt may be over. 3. Reports are kept
// and sent again until they are acknowledged, in order. Nothing that a rank has brought about is ever given up: when
// limits::kReportsUnackedMax wait, checkpoints that a newer one of their attempt follows go, and after that
// takes_sayings() turns false, so that ranks wait which say still more. Of progress the newest is kept. 4. SIGTERM
// first, SIGKILL after the grace period.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "worker/report.h"

namespace paddock::worker {

// StartRanks of the protocol, as values.
struct StartOrder {
  JobKey job;
  std::uint32_t attempt = 1;
  Fence fence;
  std::uint64_t asked =
      0;  // sequence of the join or heartbeat that was the newest when it was decided; 0: not told
  std::string kind;
  std::vector<std::string> command;
  std::string spec;
  std::string directory;
  std::uint32_t world_size = 1;
  std::string master_address;
  std::uint16_t master_port = 0;
  std::uint64_t memory_bytes_per_rank = 0;  // 0: no limit
  std::string tenant;
  std::vector<std::pair<std::string, std::string>> environment;
  struct Rank {
    RankId rank;
    std::uint32_t local_rank = 0;
    std::uint32_t cpus = 1;
    std::vector<std::string> gpus;
  };
  std::vector<Rank> ranks;  // those of this node
};

// Events: what happened.
struct TimePassed {};
struct Connected {};  // a connection was made: whatever was under way on an older one may be lost
struct LeaseReceived {
  std::uint64_t sequence = 0;
  Millis lease{};
  bool joined = false;
  std::uint64_t follow = 0;  // if not 0: what the next join has to say
};
struct ReportsAcknowledged {
  std::uint64_t up_to = 0;
};
struct StartAsked {
  std::shared_ptr<const StartOrder> order;
};
struct EndAsked {
  Fence fence;
  Millis grace{};
  std::string reason;
};
struct RankStarted {
  RankKey key;
  std::int64_t pid = 0;
};
struct RankNotStarted {
  RankKey key;
  std::string reason;
};
struct RankEnded {  // it and all that it left behind; comes after the last RankSaid
  RankKey key;
  std::int32_t exit_code = -1;
  std::int32_t signal = 0;
  bool out_of_memory = false;
  std::string gpu_fault = {};  // what befell a GPU of its, if that is why it may have failed
};
struct GpuFaulted {  // nothing must be placed on it any more
  std::string uuid;
  std::string reason;
};
struct RankSaid {
  RankKey key;
  Saying saying;
};
struct StopAsked {  // the worker itself shall end
  Millis grace{};
};
using Event = std::variant<TimePassed, Connected, LeaseReceived, ReportsAcknowledged, StartAsked, EndAsked,
                           RankStarted, RankNotStarted, RankEnded, RankSaid, GpuFaulted, StopAsked>;

// Effects: what to do, in order. A send that fails is not reported back: time makes good for it.
struct SendJoin {
  std::uint64_t sequence = 0;
  std::vector<RankKey> held;
  std::uint64_t first_report = 0;
  std::uint64_t follows = 1;
};
struct SendHeartbeat {
  std::uint64_t sequence = 0;
  std::vector<RankKey> held;
};
struct SendReports {
  std::vector<Report> reports;
  std::uint64_t after = 0;  // number of the kept report before the first of these; 0: there is none
};
struct SendLeave {};
struct StartRank {
  std::shared_ptr<const StartOrder> order;
  std::size_t index = 0;  // into order->ranks
};
struct TerminateRank {
  RankKey key;
};
struct KillRank {
  RankKey key;
};
struct ForgetRank {  // its end is acknowledged: its log need not be sent any more
  RankKey key;
};
struct ResendLogs {};  // from their first byte: the coordinator may be a new one
struct ExtendLease {   // ranks may run until then; told to their guards, which keep it even if this process
                       // hangs
  Instant kill_at;
};
struct RefuseStart {
  Fence fence;
  std::string reason;
};
struct SayReady {};  // the first lease has come
struct Exit {};
using Effect = std::variant<SendJoin, SendHeartbeat, SendReports, SendLeave, StartRank, TerminateRank,
                            KillRank, ForgetRank, ResendLogs, ExtendLease, RefuseStart, SayReady, Exit>;
using Effects = std::vector<Effect>;

class Agent {
 public:
  // The first join is due at once.
  explicit Agent(Instant now) : next_ask_(now) {}

  // Cannot fail. `now` never goes back. Whatever is due by `now` is done with any event.
  void apply(const Event& event, Instant now, Effects& effects);
  // When to come with TimePassed, if nothing else happens before.
  Instant next_wake() const;

  std::vector<RankKey> held() const;
  bool has_lease() const { return has_lease_; }
  bool is_joined() const { return joined_; }
  // Whether ranks may be listened to: false while the reports that wait are as many as may be. What comes all the
  // same is kept.
  bool takes_sayings() const;
  // Checkpoints that newer ones made dispensable.
  std::uint64_t reports_dropped() const { return reports_dropped_; }

 private:
  enum class RankState { kStarting, kRunning, kEnded };
  struct Rank {
    RankState state = RankState::kStarting;
    std::optional<Instant> kill_at;  // set: it was told to end
    bool is_killed = false;
    std::string end_reason;  // why we ended it
    bool is_node_fault = false;
  };
  // How and why ranks are told to end.
  struct Ending {
    Millis grace{};
    std::string reason;
    bool is_node_fault = false;  // for the worker's own sake, not on the coordinator's word
  };
  struct Attempt {
    JobKey job;
    bool is_closed = false;  // told to end: nothing of it starts any more
    std::map<RankId, Rank> ranks;
  };

  void on(const TimePassed&, Instant, Effects&) {}
  void on(const Connected& event, Instant now, Effects& effects);
  void on(const LeaseReceived& event, Instant now, Effects& effects);
  void on(const ReportsAcknowledged& event, Instant now, Effects& effects);
  void on(const StartAsked& event, Instant now, Effects& effects);
  void on(const EndAsked& event, Instant now, Effects& effects);
  void on(const RankStarted& event, Instant now, Effects& effects);
  void on(const RankNotStarted& event, Instant now, Effects& effects);
  void on(const RankEnded& event, Instant now, Effects& effects);
  void on(const RankSaid& event, Instant now, Effects& effects);
  void on(const GpuFaulted& event, Instant now, Effects& effects);
  void on(const StopAsked& event, Instant now, Effects& effects);

  void keep_lease(Instant now, Effects& effects);
  void keep_deadlines(Instant now, Effects& effects);
  void keep_asking(Instant now, Effects& effects);
  void keep_stopping(Instant now, Effects& effects);
  std::optional<std::string> refusal_of(const StartOrder& order, Instant now) const;
  std::optional<Instant> sent_at(std::uint64_t sequence) const;
  void end_attempt(Fence fence, Attempt& attempt, const Ending& ending, Instant now, Effects& effects);
  Rank* find(const RankKey& key);
  void report(const RankKey& key, Finding finding, Instant now, Effects& effects);
  bool is_full() const;
  void make_room();
  void send_progress(Effects& effects);
  void send_reports(Instant now, Effects& effects);
  void forget_old_attempts();
  void mark_ended(Fence fence, Rank& rank);
  Instant lease_kill_at() const { return lease_until_ - lease_ / 8; }

  std::map<Fence, Attempt> attempts_;
  std::set<Fence> live_;            // those with a rank that has not ended
  std::map<JobKey, Fence> newest_;  // of each job with an attempt in attempts_
  Fence forgotten_;                 // every fence up to here that is not in attempts_ is over

  bool joined_ = false;
  bool has_lease_ = false;
  bool was_ready_ = false;
  Millis lease_{};
  Instant lease_until_;
  Instant next_ask_;
  std::uint64_t sequence_ = 0;              // of the last join or heartbeat
  std::uint64_t join_sequence_ = 0;         // of the last join
  std::uint64_t follows_ = 1;               // shows the coordinator that we live: it has told us
  std::map<std::uint64_t, Instant> asked_;  // when each of the newest was sent

  std::deque<Report> reports_;  // kept, by rising number
  std::size_t report_bytes_ = 0;
  std::uint64_t next_report_ = 1;
  std::uint64_t sent_up_to_ = 0;  // reports above it were not sent since the last join
  Instant resend_at_;
  std::uint64_t reports_dropped_ = 0;
  // The newest of each rank that runs: told again with every join, since what was sent to a coordinator that had just
  // died is lost.
  std::map<RankKey, Progress> progress_;

  bool is_stopping_ = false;
  bool is_done_ = false;
  std::optional<Instant> flush_until_;  // how long the last reports may take when stopping
};

}  // namespace paddock::worker
