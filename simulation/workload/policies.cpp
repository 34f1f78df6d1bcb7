#include "simulation/workload/policies.h"

#include <algorithm>
#include <deque>
#include <iterator>
#include <map>
#include <optional>
#include <utility>

namespace paddock::simulation {
namespace {

using Nodes = std::vector<std::uint32_t>;

// Cores free on each node, and how many nodes have so many free.
class Floor {
 public:
  explicit Floor(const Machines& machines)
      : free_(static_cast<std::size_t>(machines.nodes), machines.cores),
        place_(free_.size()),
        at_least_(static_cast<std::size_t>(machines.cores) + 1, machines.nodes),
        levels_(static_cast<std::size_t>(machines.cores) + 1) {
    Nodes& all = levels_.back();
    for (std::uint32_t node = 0; node < free_.size(); ++node) {
      place_[node] = node;
      all.push_back(node);
    }
  }

  const std::vector<std::int64_t>& free() const { return free_; }
  std::int64_t nodes_with(std::int64_t cores) const { return at_least_[static_cast<std::size_t>(cores)]; }

  // The fullest nodes that have so many cores free; there are enough.
  Nodes fullest(const Gang& gang) const {
    Nodes nodes;
    for (auto level = static_cast<std::size_t>(gang.cores); std::ssize(nodes) < gang.nodes; ++level) {
      for (std::size_t i = levels_[level].size(); i > 0 && std::ssize(nodes) < gang.nodes; --i)
        nodes.push_back(levels_[level][i - 1]);
    }
    return nodes;
  }
  // `by` cores more on each; negative: fewer.
  void change(const Nodes& nodes, std::int64_t by) {
    for (const std::uint32_t node : nodes) {
      Nodes& from = levels_[static_cast<std::size_t>(free_[node])];
      place_[from.back()] = place_[node];
      from[place_[node]] = from.back();
      from.pop_back();
      const std::int64_t low = std::min(free_[node], free_[node] + by);
      const std::int64_t high = std::max(free_[node], free_[node] + by);
      for (std::int64_t level = low + 1; level <= high; ++level)
        at_least_[static_cast<std::size_t>(level)] += by > 0 ? 1 : -1;
      free_[node] += by;
      Nodes& to = levels_[static_cast<std::size_t>(free_[node])];
      place_[node] = static_cast<std::uint32_t>(to.size());
      to.push_back(node);
    }
  }

 private:
  std::vector<std::int64_t> free_;
  Nodes place_;                         // in its level
  std::vector<std::int64_t> at_least_;  // nodes with so many cores free
  std::vector<Nodes> levels_;           // by cores free
};

// Time goes from arrival to end to arrival; at each instant the queue is looked at once.
class Queueing {
 public:
  Queueing(const Workload& workload, const Machines& machines)
      : workload_(workload), machines_(machines), floor_(machines) {
    schedule_.starts_s.resize(workload.jobs.size(), -1);
    schedule_.promised_s.resize(workload.jobs.size(), -1);
    for (const TraceJob& each : workload.jobs) gangs_.push_back(gang_of(each, machines));
  }
  virtual ~Queueing() = default;
  Queueing(const Queueing&) = delete;
  Queueing& operator=(const Queueing&) = delete;

  Schedule run() {
    std::size_t next = 0;
    while (next < workload_.jobs.size() || !ends_.empty()) {
      now_ = ends_.empty()                   ? job(next).submit_s
             : next == workload_.jobs.size() ? ends_.begin()->first
                                             : std::min(job(next).submit_s, ends_.begin()->first);
      for (; !ends_.empty() && ends_.begin()->first == now_; ends_.erase(ends_.begin()))
        end(ends_.begin()->second);
      for (; next < workload_.jobs.size() && job(next).submit_s == now_; ++next) queue_.push_back(next);
      pass();
    }
    return std::move(schedule_);
  }

 protected:
  struct Running {
    std::size_t job = 0;
    Nodes nodes;
  };
  using ByEnd = std::multimap<std::int64_t, Running>;

  virtual void pass() = 0;
  virtual void freed() {}

  const TraceJob& job(std::size_t number) const { return workload_.jobs[number]; }
  const Gang& gang(std::size_t number) const { return gangs_[number]; }
  bool fits_now(const Gang& asked) const { return floor_.nodes_with(asked.cores) >= asked.nodes; }
  void start(std::size_t number, Nodes nodes) {
    floor_.change(nodes, -gang(number).cores);
    schedule_.starts_s[number] = now_;
    const auto running = running_.emplace(now_ + job(number).estimate_s, Running{number, std::move(nodes)});
    ends_.emplace(now_ + job(number).run_s, running);
  }
  // Starts those at the head of the queue that fit.
  void start_heads() {
    std::size_t started = 0;
    for (; started < queue_.size() && fits_now(gang(queue_[started])); ++started)
      start(queue_[started], floor_.fullest(gang(queue_[started])));
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(started));
  }

  const Workload& workload_;
  const Machines machines_;
  Floor floor_;
  Schedule schedule_;
  std::int64_t now_ = 0;
  std::vector<Gang> gangs_;  // by job
  std::deque<std::size_t> queue_;
  ByEnd running_;  // by when they end at the latest

 private:
  void end(ByEnd::iterator running) {
    floor_.change(running->second.nodes, gang(running->second.job).cores);
    running_.erase(running);
    freed();
  }
  std::multimap<std::int64_t, ByEnd::iterator> ends_;  // when they really end
};

class Fifo final : public Queueing {
 public:
  using Queueing::Queueing;

 private:
  void pass() override { start_heads(); }
};

class Easy final : public Queueing {
 public:
  using Queueing::Queueing;

 private:
  // What the head of the queue is promised: when, and what every node will have free then.
  struct Promise {
    std::size_t job = 0;
    Gang gang;
    std::int64_t at_s = 0;
    std::vector<std::int64_t> free;
    std::int64_t spare = 0;  // nodes that will do, beyond those needed
  };

  void freed() override { is_news_ = true; }

  void pass() override {
    const std::size_t before = tried_;
    start_heads();
    if (queue_.empty()) return;
    is_news_ = is_news_ || head_ != queue_.front();
    head_ = queue_.front();
    if (is_news_) promise_.reset();
    if (is_news_) room_for_.assign(static_cast<std::size_t>(machines_.cores) + 1, {-1, -1});
    // Where nothing was freed only who has just come can be new to it.
    std::size_t i = is_news_ ? 1 : std::max<std::size_t>(1, std::min(before, queue_.size()));
    is_news_ = false;
    while (i < queue_.size() && floor_.nodes_with(1) > 0) {
      const auto nodes = fits_now(gang(queue_[i])) ? overtaking(queue_[i]) : std::nullopt;
      if (!nodes) {
        ++i;
        continue;
      }
      start(queue_[i], *nodes);
      queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(i));
      room_for_.assign(room_for_.size(), {-1, -1});
    }
    tried_ = queue_.size();
  }

  Promise promise(std::size_t number) {
    Promise made{number, gang(number), now_, floor_.free(), 0};
    std::int64_t enough = floor_.nodes_with(made.gang.cores);
    for (auto running = running_.begin(); running != running_.end(); ++running) {
      if (enough >= made.gang.nodes && running->first != made.at_s) break;
      made.at_s = running->first;
      for (const std::uint32_t node : running->second.nodes) {
        const std::int64_t had = made.free[node];
        made.free[node] += gang(running->second.job).cores;
        enough += had < made.gang.cores && made.free[node] >= made.gang.cores ? 1 : 0;
      }
    }
    made.spare = enough - made.gang.nodes;
    if (schedule_.promised_s[number] < 0) schedule_.promised_s[number] = made.at_s;
    return made;
  }

  // The head could not have the node any more.
  bool is_harmful(std::uint32_t node, std::int64_t cores) const {
    const std::int64_t then = promise_->free[node];
    return then >= promise_->gang.cores && then - cores < promise_->gang.cores;
  }
  // How many nodes have so many cores free without harm, and with.
  std::pair<std::int64_t, std::int64_t> room_for(std::int64_t cores) {
    auto& room = room_for_[static_cast<std::size_t>(cores)];
    if (room.first >= 0) return room;
    room = {0, 0};
    for (std::uint32_t node = 0; node < promise_->free.size(); ++node) {
      if (floor_.free()[node] >= cores) ++(is_harmful(node, cores) ? room.second : room.first);
    }
    return room;
  }

  // Nodes on which it breaks no promise.
  std::optional<Nodes> overtaking(std::size_t number) {
    if (!promise_) promise_ = promise(queue_.front());
    const Gang asked = gang(number);
    if (now_ + job(number).estimate_s <= promise_->at_s) return floor_.fullest(asked);
    const auto [harmless, harmful] = room_for(asked.cores);
    if (asked.nodes > harmless + std::min(harmful, promise_->spare)) return std::nullopt;
    std::int64_t with_harm = std::max<std::int64_t>(0, asked.nodes - harmless);
    promise_->spare -= with_harm;
    Nodes nodes;
    for (std::uint32_t node = 0; std::ssize(nodes) < asked.nodes; ++node) {
      if (floor_.free()[node] < asked.cores || (is_harmful(node, asked.cores) && with_harm-- <= 0)) continue;
      nodes.push_back(node);
    }
    for (const std::uint32_t node : nodes) promise_->free[node] -= asked.cores;
    return nodes;
  }

  std::optional<Promise> promise_;
  std::vector<std::pair<std::int64_t, std::int64_t>> room_for_;  // by cores; -1: not counted yet
  bool is_news_ = true;              // something has ended, or the head is another
  std::optional<std::size_t> head_;  // of the queue, when it was last looked at
  std::size_t tried_ = 0;
};

}  // namespace

Schedule schedule_fifo(const Workload& workload, const Machines& machines) {
  return Fifo(workload, machines).run();
}

Schedule schedule_easy(const Workload& workload, const Machines& machines) {
  return Easy(workload, machines).run();
}

}  // namespace paddock::simulation
