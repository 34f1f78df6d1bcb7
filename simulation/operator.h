// simulation/operator.h – who steers the cluster: says what tenants may and weigh, drains nodes and takes them back,
// reserves nodes and calls that off. Orders
// get lost, doubled and late like everything; so once nothing fails any more all is cleared again and again.
// Threads: one owner.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "simulation/world.h"

namespace paddock::simulation {

class Operator {
 public:
  using Send = std::function<void(Operator& from, wire::Frame frame)>;
  Operator(World& world, Send send) : world_(world), send_(std::move(send)) {}
  Operator(const Operator&) = delete;
  Operator& operator=(const Operator&) = delete;

  // Sets every tenant as the plan says.
  void begin();
  // Drains a node or takes one back, whichever the dice say.
  void steer_node();
  // Another quota for a tenant.
  void steer_tenant();
  // Reserves nodes, or calls a reservation off.
  void steer_reservation();
  // From now on no node is drained or reserved and no tenant has a quota.
  void calm();
  void receive(const wire::Frame& frame);

  std::string name() const { return "operator"; }

 private:
  void drain(const std::string& node, Millis deadline);
  void resume(const std::string& node);
  void set(const TenantPlan& tenant);
  void reserve();
  void call_off(const std::string& reservation);
  void clear_all();
  struct CallOff {
    std::string reservation;
    WallTime asked;
  };
  // Gives the number of the request.
  template <typename Fill>
  std::uint64_t order(const Fill& fill);

  World& world_;
  const Send send_;
  std::uint64_t next_request_ = 1;
  std::uint64_t reservations_ = 0;               // so many were asked for; each has a name of its own
  std::map<std::uint64_t, CallOff> called_off_;  // by request
};

}  // namespace paddock::simulation
