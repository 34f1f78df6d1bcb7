#include "simulation/timekeeper.h"

#include <nlohmann/json.hpp>

namespace paddock::simulation {
namespace {

constexpr Millis kAskAgain = std::chrono::seconds(2);
constexpr std::uint64_t kRemoveRequest = 2;

}  // namespace

void Timekeeper::submit() {
  if (world_.plan.schedule) ask();
}

void Timekeeper::remove() {
  wants_removal_ = true;
}

void Timekeeper::ask() {
  if (is_removed_) return;
  world_.time.after(kAskAgain, [this] { ask(); });
  if (is_accepted_ && !wants_removal_) return;
  capnp::MallocMessageBuilder builder;
  if (is_accepted_) {
    auto steer = wire::begin(builder, kRemoveRequest).initSteerSchedule();
    steer.setName("minutely");
    steer.setWhat("remove");
  } else {
    const nlohmann::json graph{
        {"graph", "minutely"},
        {"schedule",
         {{"cron", "* * * * *"},
          {"missed", world_.plan.schedule->missed},
          {"overlap", world_.plan.schedule->overlap}}},
        {"jobs", {{"j", {{"kind", "command"}, {"command", {"true"}}, {"grace", "1s"}}}}}};
    auto submit = wire::begin(builder, 1).initSubmit();
    submit.setSpec(graph.dump());
    submit.setFile("simulated.json");
    submit.setToken(name_);
  }
  if (auto frame = wire::encode(builder)) send_(name_, *std::move(frame));
}

void Timekeeper::receive(const wire::Frame& frame) {
  const auto envelope = wire::decode(frame);
  if (!envelope) return world_.trace.violated("the coordinator sent what nobody can read");
  const auto message = envelope->message();
  if (message.isSubmitted()) {
    is_accepted_ = true;
  } else if (message.isDone()) {
    is_removed_ = true;
    world_.trace.note(name_ + " has removed its schedule");
  } else if (message.isRefused()) {
    const Error error = wire::read_refusal(message.getRefused());
    // It was removed by what was asked before; a full disk takes it later.
    if (message.getRequestId() == kRemoveRequest && error.code == Code::kNotFound)
      is_removed_ = true;
    else if (error.code != Code::kExhausted)
      world_.trace.violated(name_ + " is refused: " + error.message);
  } else {
    world_.trace.violated(name_ + " got an answer to nothing");
  }
}

}  // namespace paddock::simulation
