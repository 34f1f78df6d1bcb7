// simulation/timekeeper.h – somebody whose graph runs by itself, again and again: submits it under one token until that is
// answered, and has it removed once faults have stopped. Threads: one owner.
#pragma once

#include <functional>
#include <string>

#include "simulation/world.h"

namespace paddock::simulation {

class Timekeeper {
 public:
  using Send = std::function<void(const std::string& from, wire::Frame frame)>;
  Timekeeper(World& world, Send send) : world_(world), send_(std::move(send)) {}
  Timekeeper(const Timekeeper&) = delete;
  Timekeeper& operator=(const Timekeeper&) = delete;

  void submit();
  void remove();
  void receive(const wire::Frame& frame);

  const std::string& name() const { return name_; }
  bool is_content() const { return !world_.plan.schedule || is_removed_; }

 private:
  void ask();

  World& world_;
  const Send send_;
  const std::string name_ = "timekeeper";  // also its token
  bool is_accepted_ = false;
  bool wants_removal_ = false;
  bool is_removed_ = false;
};

}  // namespace paddock::simulation
