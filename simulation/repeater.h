// simulation/repeater.h – somebody who has graphs run again that ended without success, and now and then thinks better of
// it: cancels what runs again, or cancels a graph and asks for it again in one breath. Threads: one owner.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "simulation/world.h"

namespace paddock::simulation {

class Repeater {
 public:
  using Send = std::function<void(const std::string& from, wire::Frame frame)>;
  Repeater(World& world, Send send) : world_(world), send_(std::move(send)) {}
  Repeater(const Repeater&) = delete;
  Repeater& operator=(const Repeater&) = delete;

  // Any graph that there has been, until it is answered.
  void repeat_one();
  void receive(const wire::Frame& frame);

  const std::string& name() const { return name_; }
  bool is_content() const { return open_.empty(); }

 private:
  struct Wish {
    GraphId graph;
    std::string token;  // "": it is to be cancelled
  };

  void wish(const Wish& wish);
  void ask(std::uint64_t request);
  void has_been_refused(std::uint64_t request, const Error& error);

  World& world_;
  const Send send_;
  const std::string name_ = "repeater";
  std::map<std::uint64_t, Wish> open_;  // by request, not answered for good
  std::uint64_t next_request_ = 1;
};

}  // namespace paddock::simulation
