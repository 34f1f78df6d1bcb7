#include "simulation/client.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace paddock::simulation {

namespace {

constexpr std::uint64_t kSubmitRequest = 1;
constexpr std::uint64_t kCancelRequest = 2;
constexpr Millis kAskAgain = std::chrono::seconds(2);

}  // namespace

void Client::submit() {
  ask();
}

void Client::cancel() {
  wants_cancel_ = true;
  if (graph_.value > 0) ask();
}

void Client::submit_again() {
  if (graph_.value > 0) send_submission();
}

void Client::send_submission() {
  capnp::MallocMessageBuilder builder;
  auto submit = wire::begin(builder, kSubmitRequest).initSubmit();
  submit.setSpec(spec_);
  submit.setFile("simulated.json");
  submit.setToken(name_);
  if (auto frame = wire::encode(builder)) send_(*this, *std::move(frame));
}

void Client::ask() {
  if (is_content()) return;
  if (graph_.value == 0) {
    send_submission();
  } else {
    capnp::MallocMessageBuilder builder;
    auto cancel = wire::begin(builder, kCancelRequest).initCancel();
    cancel.setGraph(graph_.value);
    cancel.setReason("the client changed its mind");
    if (auto frame = wire::encode(builder)) send_(*this, *std::move(frame));
  }
  world_.time.after(kAskAgain, [this] { ask(); });
}

void Client::receive(const wire::Frame& frame) {
  const auto envelope = wire::decode(frame);
  if (!envelope) return world_.trace.violated("the coordinator sent what nobody can read");
  const auto message = envelope->message();
  switch (message.which()) {
    case wire::Message::SUBMITTED: {
      const bool is_first = graph_.value == 0;
      if (!is_first) world_.trace.probe("submission answered twice");
      graph_ = GraphId{message.getSubmitted().getGraph()};
      had_.insert(graph_);
      world_.nothing_lost.accepted(name_, graph_, world_.kept);
      world_.trace.note(name_ + " has graph " + std::to_string(graph_.value));
      if (is_first && wants_cancel_) ask();
      return;
    }
    case wire::Message::DONE:
      is_cancelled_ = true;
      world_.nothing_lost.cancel_confirmed(graph_);
      world_.trace.note(name_ + " cancelled graph " + std::to_string(graph_.value));
      return world_.trace.probe("graph cancelled");
    case wire::Message::REFUSED:
      return has_been_refused(message.getRequestId(), wire::read_refusal(message.getRefused()));
    default:
      return world_.trace.violated(name_ + " got an answer to nothing");
  }
}

void Client::has_been_refused(std::uint64_t request, const Error& error) {
  const bool is_gone = error.code == Code::kNotFound && std::ranges::any_of(had_, [&](const GraphId graph) {
                         return world_.kept.was_removed(graph);
                       });
  // Too late: it has ended. A full disk takes it later.
  if (request == kCancelRequest && (error.code == Code::kConflict || is_gone)) {
    is_cancelled_ = true;
  } else if (error.code != Code::kExhausted) {
    world_.trace.violated(name_ + " is refused: " + error.message);
  }
}

namespace {

nlohmann::json draw_retry(Dice& dice) {
  return {{"limit", dice.below(4)}, {"backoff", std::to_string(dice.between(100, 3'000)) + "ms"}};
}

// What some node of the plan can hold, and as many nodes as are like it.
nlohmann::json draw_resources(Dice& dice, const Plan& plan) {
  const NodePlan& node = plan.nodes[dice.below(plan.nodes.size())];
  const bool keeps_to_rack = dice.chance(150);
  const bool avoids_old = !node.is_old && dice.chance(150);
  const auto like_it = std::ranges::count_if(plan.nodes, [&](const NodePlan& other) {
    return other.cpus >= node.cpus && other.gpus >= node.gpus &&
           (!keeps_to_rack || other.rack == node.rack) && !(avoids_old && other.is_old);
  });
  const std::uint64_t gpus = dice.below(node.gpus + 1);
  const std::uint64_t ranks = gpus > 0 ? gpus : dice.between(1, std::min<std::uint32_t>(node.cpus, 2));
  const std::uint64_t nodes = dice.between(1, static_cast<std::uint64_t>(like_it));
  nlohmann::json resources{
      {"nodes", nodes}, {"gpus", gpus}, {"ranks_per_node", std::min<std::uint64_t>(ranks, node.cpus)}};
  if (gpus > 0 && gpus % std::min<std::uint64_t>(ranks, node.cpus) != 0) resources["ranks_per_node"] = 1;
  if (nodes > 1 && dice.chance(400)) resources["nodes_min"] = dice.between(1, nodes - 1);
  if (keeps_to_rack) resources["labels"]["rack"] = "r" + std::to_string(node.rack);
  if (avoids_old) resources["avoid"]["old"] = "";
  if (dice.chance(150)) resources["apart"] = "x";
  return resources;
}

// Among the jobs before it. Only of kind command it is not known what it makes, so any condition may name it.
void draw_edges(Dice& dice, std::uint64_t number, const nlohmann::json& jobs, nlohmann::json& job) {
  for (std::uint64_t earlier = 0; earlier < number; ++earlier) {
    if (!dice.chance(300)) continue;
    const std::string need = "j" + std::to_string(earlier);
    job["needs"].push_back(need);
    if (dice.chance(300)) job["on"][need] = dice.chance(500) ? "failure" : "always";
    if (jobs.at(need).at("kind") == "command" && dice.chance(200))
      job["if"] = {{dice.chance(500) ? "made" : "not_made", "${" + need + ".out}"}};
  }
}

// Of a saturated plan: one core each, more than the cluster can do while the others have work.
std::string draw_backlog(const Plan& plan, std::uint32_t number) {
  nlohmann::json graph{{"graph", "g" + std::to_string(number)}, {"tenant", plan.tenants[number].name}};
  std::uint64_t cores = 0;
  for (const NodePlan& node : plan.nodes) cores += node.cpus;
  for (std::uint64_t i = 0; i < 6 * cores; ++i)
    graph["jobs"]["j" + std::to_string(i)] = {{"kind", "command"}, {"command", {"true"}}};
  return graph.dump();
}

}  // namespace

std::string draw_graph(Dice& dice, const Plan& plan, std::uint32_t number) {
  if (plan.is_saturated) return draw_backlog(plan, number);
  nlohmann::json graph{{"graph", "g" + std::to_string(number)},
                       {"tenant", plan.tenants[dice.below(plan.tenants.size())].name},
                       {"priority", static_cast<int>(dice.below(3))}};
  const std::uint64_t count = dice.between(1, 5);
  for (std::uint64_t i = 0; i < count; ++i) {
    nlohmann::json job{{"kind", "command"},
                       {"command", {"true"}},
                       {"grace", std::to_string(dice.between(100, 5'000)) + "ms"},
                       {"retry", draw_retry(dice)}};
    // Work that others may be doing, or have done, at the same time.
    if (dice.chance(200)) {
      job["kind"] = "curate";
      job.erase("command");
      job["with"] = {{"pool", "/pool/" + std::to_string(dice.below(2))}};
    }
    job["resources"] = draw_resources(dice, plan);
    if (dice.chance(300)) job["time_limit"] = std::to_string(dice.between(5, 40)) + "s";
    if (dice.chance(300)) job["preemptible"] = true;
    draw_edges(dice, i, graph["jobs"], job);
    graph["jobs"]["j" + std::to_string(i)] = job;
  }
  return graph.dump();
}

}  // namespace paddock::simulation
