#include "simulation/operator.h"

namespace paddock::simulation {
namespace {

constexpr Millis kClearAgain = std::chrono::seconds(10);

std::string name_of_node(std::uint64_t number) {
  return "n" + std::to_string(number);
}

std::string name_of_reservation(std::uint64_t number) {
  return "r" + std::to_string(number);
}

}  // namespace

template <typename Fill>
std::uint64_t Operator::order(const Fill& fill) {
  const std::uint64_t request = next_request_++;
  capnp::MallocMessageBuilder builder;
  fill(wire::begin(builder, request));
  if (auto frame = wire::encode(builder)) send_(*this, *std::move(frame));
  return request;
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

void Operator::steer_reservation() {
  Dice& dice = world_.dice;
  if (reservations_ == 0 || dice.chance(650)) return reserve();
  call_off(name_of_reservation(dice.between(1, reservations_)));
}

void Operator::reserve() {
  Dice& dice = world_.dice;
  const std::string name = name_of_reservation(++reservations_);
  // Instants that people name are the wall's.
  const std::int64_t speed = world_.wall_speed();
  const std::int64_t begins = world_.wall().unix_ms + speed * dice.ms(1'000, 40'000).count();
  const bool begins_now = dice.chance(400);
  world_.trace.note("operator reserves nodes as " + name);
  order([&](wire::Message::Builder message) {
    auto reserve = message.initReserve();
    reserve.setName(name);
    const std::uint64_t tenants = dice.between(1, 2);
    auto list = reserve.initTenants(static_cast<unsigned>(tenants));
    for (unsigned i = 0; i < tenants; ++i)
      list.set(i, world_.plan.tenants[dice.below(world_.plan.tenants.size())].name);
    if (dice.chance(300)) {
      auto label = reserve.initLabels(1)[0];
      label.setName("rack");
      label.setValue("r" + std::to_string(dice.below(2)));
    } else {
      reserve.setNodes(static_cast<std::uint32_t>(dice.between(1, world_.plan.nodes.size())));
    }
    reserve.setBeginsUnixMs(begins_now ? 0 : begins);
    reserve.setDurationMs(static_cast<std::uint64_t>(speed * dice.ms(1'000, 30'000).count()));
  });
}

void Operator::call_off(const std::string& reservation) {
  world_.reserved.asks_to_call_off(reservation);
  const WallTime asked = world_.wall();
  const std::uint64_t request =
      order([&](wire::Message::Builder message) { message.setUnreserve(reservation); });
  called_off_[request] = {reservation, asked};
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
  for (std::uint64_t i = 1; i <= reservations_; ++i) call_off(name_of_reservation(i));
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
  const auto called_off = called_off_.find(message.getRequestId());
  if (message.isDone()) {
    if (called_off != called_off_.end())
      world_.reserved.called_off(called_off->second.reservation, called_off->second.asked);
    return;
  }
  if (message.isReservations()) {
    for (const auto reservation : message.getReservations())
      world_.reserved.confirmed(reservation.getName().cStr());
    return;
  }
  if (!message.isRefused()) return world_.trace.violated("the operator got an answer to nothing");
  // A node that has not joined yet is not known, what is reserved twice or of more nodes than there are is refused, and so is
  // what has been under way until well after its beginning; a full disk takes no orders.
  const Error error = wire::read_refusal(message.getRefused());
  if (error.code == Code::kInvalid && error.message.find("begins between now") != std::string::npos) return;
  if (error.code != Code::kNotFound && error.code != Code::kExhausted && error.code != Code::kConflict)
    world_.trace.violated("the operator is refused: " + error.message);
}

}  // namespace paddock::simulation
