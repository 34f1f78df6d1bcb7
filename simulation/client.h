// simulation/client.h – somebody who submits one graph, asks again under the same token until it is answered, and may
// change his mind and cancel. Threads: one owner.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>

#include "simulation/world.h"

namespace paddock::simulation {

class Client {
 public:
  using Send = std::function<void(Client& from, wire::Frame frame)>;
  // `spec`: the graph, JSON.
  Client(World& world, std::string name, std::string spec, Send send)
      : world_(world), name_(std::move(name)), spec_(std::move(spec)), send_(std::move(send)) {}
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void submit();
  void cancel();  // once it has been accepted
  // The same once more, though it has been answered: its answer came late, or not to the one who asked.
  void submit_again();
  void receive(const wire::Frame& frame);

  const std::string& name() const { return name_; }
  bool is_content() const { return graph_.value > 0 && (!wants_cancel_ || is_cancelled_); }

 private:
  void ask();
  void send_submission();
  void has_been_refused(std::uint64_t request, const Error& error);

  World& world_;
  const std::string name_;  // also its token
  const std::string spec_;
  const Send send_;
  GraphId graph_;
  std::set<GraphId> had_;  // by its token: it names another once a graph has gone for good
  bool wants_cancel_ = false;
  bool is_cancelled_ = false;
};

// A graph of a few jobs that the cluster can hold, JSON as jobs/spec takes it.
std::string draw_graph(Dice& dice, const Plan& plan, std::uint32_t number);

}  // namespace paddock::simulation
