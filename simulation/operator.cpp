#include "simulation/operator.h"

namespace paddock::simulation {
namespace {

constexpr Millis kClearAgain = std::chrono::seconds(10);

std::string name_of_node(std::uint64_t number) {
  return "n" + std::to_string(number);
}

}  // namespace

template <typename Fill>
void Operator::order(const Fill& fill) {
  capnp::MallocMessageBuilder builder;
  fill(wire::begin(builder, next_request_++));
  if (auto frame = wire::encode(builder)) send_(*this, *std::move(frame));
}

void Operator::begin() {
  for (const TenantPlan& tenant : world_.plan.tenants) set(tenant);
}

void Operator::steer_node() {
  Dice& dice = world_.dice;
  const std::string node = name_of_node(dice.below(world_.plan.nodes.size()));
  if (dice.chance(400)) return resume(node);
  drain(node, dice.chance(500) ? dice.ms(1'000, 20'000) : Millis(0));
}

void Operator::steer_tenant() {
  Dice& dice = world_.dice;
  TenantPlan tenant = world_.plan.tenants[dice.below(world_.plan.tenants.size())];
  tenant.cpus_max = dice.below(8);
  tenant.gpus_max = dice.below(4);
  set(tenant);
}

void Operator::calm() {
  clear_all();
}

void Operator::clear_all() {
  for (std::uint64_t node = 0; node < world_.plan.nodes.size(); ++node) resume(name_of_node(node));
  for (TenantPlan tenant : world_.plan.tenants) {
    tenant.cpus_max = tenant.gpus_max = 0;
    set(tenant);
  }
  world_.time.after(kClearAgain, [this] { clear_all(); });
}

void Operator::drain(const std::string& node, Millis deadline) {
  world_.trace.note("operator drains " + node);
  order([&](wire::Message::Builder message) {
    auto drain = message.initDrain();
    drain.setNode(node);
    drain.setReason("disks are changed");
    drain.setDeadlineMs(static_cast<std::uint64_t>(deadline.count()));
  });
}

void Operator::resume(const std::string& node) {
  order([&](wire::Message::Builder message) { message.setResume(node); });
}

void Operator::set(const TenantPlan& tenant) {
  order([&](wire::Message::Builder message) {
    auto set = message.initSetTenant();
    set.setName(tenant.name);
    set.setWeightPermille(tenant.weight_permille);
    set.setCpusMax(tenant.cpus_max);
    set.setGpusMax(tenant.gpus_max);
  });
}

void Operator::receive(const wire::Frame& frame) {
  const auto envelope = wire::decode(frame);
  if (!envelope) return world_.trace.violated("the coordinator sent what nobody can read");
  const auto message = envelope->message();
  if (message.which() == wire::Message::DONE) return;
  if (message.which() != wire::Message::REFUSED)
    return world_.trace.violated("the operator got an answer to nothing");
  // A node that has not joined yet is not known; a full disk takes no orders.
  const Error error = wire::read_refusal(message.getRefused());
  if (error.code != Code::kNotFound && error.code != Code::kExhausted)
    world_.trace.violated("the operator is refused: " + error.message);
}

}  // namespace paddock::simulation
