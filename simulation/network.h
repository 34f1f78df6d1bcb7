// simulation/network.h – frames between the coordinator and everybody else. While faults last they are lost, doubled, late
// (so also out of order) or stopped in one direction. A frame to a process that has died is lost, one from it
// may still arrive. Threads: one owner.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "simulation/plan.h"
#include "simulation/timeline.h"
#include "simulation/trace.h"
#include "wire/envelope.h"

namespace paddock::simulation {

class Network {
 public:
  // Nothing is owned.
  Network(Timeline& time, Dice& dice, Trace& trace, const Plan& plan)
      : time_(time), dice_(dice), trace_(trace), plan_(plan) {}

  // `arrive` is called when it comes, perhaps twice, perhaps never.
  void send(const std::string& from, const std::string& to, std::function<void()> arrive) {
    if (blocked_.contains({from, to})) {
      trace_.probe("message stopped by a one-way partition");
      return;
    }
    if (is_faulty_ && dice_.chance(plan_.lost)) return;
    const std::uint64_t copies = is_faulty_ && dice_.chance(plan_.doubled) ? 2 : 1;
    for (std::uint64_t i = 0; i < copies; ++i) {
      Millis delay = dice_.ms(0, 5);
      if (is_faulty_ && dice_.chance(plan_.late)) {
        delay = dice_.ms(5, static_cast<std::uint64_t>(2 * plan_.lease.count()));
        trace_.probe("message late");
      }
      time_.after(delay, arrive);
    }
  }
  // Nothing from `from` comes to `to` until then.
  void block(const std::string& from, const std::string& to, Millis time) {
    blocked_.insert({{from, to}, 0}).first->second += 1;
    time_.after(time, [this, from, to] { unblock(from, to); });
  }
  void heal() {
    is_faulty_ = false;
    blocked_.clear();
  }

 private:
  void unblock(const std::string& from, const std::string& to) {
    const auto found = blocked_.find({from, to});
    if (found != blocked_.end() && --found->second == 0) blocked_.erase(found);
  }

  Timeline& time_;
  Dice& dice_;
  Trace& trace_;
  const Plan& plan_;
  bool is_faulty_ = true;
  std::map<std::pair<std::string, std::string>, int> blocked_;
};

}  // namespace paddock::simulation
