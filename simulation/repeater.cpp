#include "simulation/repeater.h"

#include <vector>

namespace paddock::simulation {
namespace {

constexpr Millis kAskAgain = std::chrono::seconds(2);

}  // namespace

void Repeater::repeat_one() {
  const std::vector<GraphId> graphs = world_.kept.all();
  if (graphs.empty()) return;
  const GraphId graph = graphs[world_.dice.below(graphs.size())];
  if (world_.dice.chance(200)) wish({graph, ""});
  wish({graph, name_ + std::to_string(next_request_)});
}

void Repeater::wish(const Wish& wish) {
  const std::uint64_t request = next_request_++;
  open_.emplace(request, wish);
  ask(request);
}

void Repeater::ask(std::uint64_t request) {
  const auto found = open_.find(request);
  if (found == open_.end()) return;
  const Wish& wish = found->second;
  capnp::MallocMessageBuilder builder;
  if (wish.token.empty()) {
    auto cancel = wire::begin(builder, request).initCancel();
    cancel.setGraph(wish.graph.value);
    cancel.setReason("it is not needed any more");
  } else {
    auto retry = wire::begin(builder, request).initRetry();
    retry.setGraph(wish.graph.value);
    retry.setToken(wish.token);
  }
  if (auto frame = wire::encode(builder)) send_(name_, *std::move(frame));
  world_.time.after(kAskAgain, [this, request] { ask(request); });
}

void Repeater::receive(const wire::Frame& frame) {
  const auto envelope = wire::decode(frame);
  if (!envelope) return world_.trace.violated("the coordinator sent what nobody can read");
  const auto message = envelope->message();
  const std::uint64_t request = message.getRequestId();
  const auto found = open_.find(request);
  if (found == open_.end()) return;  // the answer to the same question, asked twice
  const Wish wish = found->second;
  if (message.isRefused()) return has_been_refused(request, wire::read_refusal(message.getRefused()));
  open_.erase(found);
  if (message.isDone()) {
    world_.nothing_lost.cancel_confirmed(wish.graph);
  } else if (message.isSubmitted()) {
    const GraphId again{message.getSubmitted().getGraph()};
    world_.trace.note(name_ + " has graph " + std::to_string(wish.graph.value) + " again as graph " +
                      std::to_string(again.value));
    world_.nothing_lost.accepted(wish.token, again, world_.kept);
    if (!world_.is_calm && world_.dice.chance(250)) this->wish({again, ""});
  } else {
    world_.trace.violated(name_ + " got an answer to nothing");
  }
}

// What has not ended is asked for again, until it has; so is what a full disk refuses.
void Repeater::has_been_refused(std::uint64_t request, const Error& error) {
  const Wish& wish = open_.at(request);
  if (error.code == Code::kExhausted) return;
  const bool goes_on = error.message.find("has not ended") != std::string::npos;
  if (error.code == Code::kConflict && goes_on)
    return world_.trace.probe("graph asked for again before its end");
  const bool is_gone = error.code == Code::kNotFound && world_.kept.was_removed(wish.graph);
  if (is_gone) world_.trace.probe("graph asked for again after it was removed");
  if (error.code != Code::kConflict && !is_gone)
    world_.trace.violated(name_ + " is refused: " + error.message);
  open_.erase(request);
}

}  // namespace paddock::simulation
