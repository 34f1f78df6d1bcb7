#include <memory>

#include "cli/answers.h"
#include "cli/command.h"
#include "cli/connection.h"
#include "cli/output.h"

namespace paddock::cli {
namespace {

std::string of(std::uint64_t free, std::uint64_t all) {
  return std::to_string(free) + "/" + std::to_string(all);
}

// "8", or "6 of 8" when two are withdrawn.
std::string gpus_of(wire::Node::Reader node) {
  std::size_t well = 0;
  for (const auto gpu : node.getGpus()) well += gpu.getFault().size() == 0 ? 1 : 0;
  return well == node.getGpus().size() ? std::to_string(well) : of(well, node.getGpus().size());
}

Result<int> nodes(const Target& target, bool is_json) {
  const auto answer =
      ask(target, wire::Message::NODES, [](wire::Message::Builder message) { message.setNodesRequest(); });
  if (!answer) return tl::unexpected<Error>(answer.error());
  Json list = Json::array();
  std::vector<Row> rows;
  std::string reasons;
  for (const auto node : answer->message().getNodes()) {
    list.push_back(to_json(node));
    std::string attempts;
    for (const auto attempt : node.getAttempts())
      attempts += (attempts.empty() ? "" : " ") + to_text(attempt);
    const std::string reason = to_text(node.getReason());
    if (!reason.empty()) reasons += plain(reason) + "\n";
    rows.push_back({to_text(node.getName()), to_text(node.getState()), to_text(node.getAddress()),
                    of(node.getCpusFree(), node.getCpus()),
                    show_bytes(node.getMemoryBytesFree()) + " of " + show_bytes(node.getMemoryBytes()),
                    gpus_of(node), show_seconds(static_cast<double>(node.getLastSeenMsAgo()) / 1000) + " ago",
                    attempts});
  }
  std::string faults;
  for (const auto node : answer->message().getNodes()) {
    for (const auto gpu : node.getGpus()) {
      if (gpu.getFault().size() > 0)
        faults += to_text(node.getName()) + ": " + to_text(gpu.getUuid()) +
                  " is withdrawn: " + to_text(gpu.getFault()) + "\n";
    }
  }
  if (is_json)
    print_json({{"nodes", std::move(list)}});
  else if (rows.empty())
    print_text("no worker has joined yet\n");
  else
    print_text(table({"NODE", "STATE", "ADDRESS", "CPUS FREE", "MEMORY FREE", "GPUS", "SEEN", "RUNS"}, rows) +
               reasons + faults);
  return kDone;
}

}  // namespace

void add_nodes(CLI::App& app, Chosen& chosen) {
  auto target = std::make_shared<Target>();
  CLI::App* command = app.add_subcommand("nodes", "lists the machines and what runs on them");
  add_target_options(*command, *target);
  add_output_option(*command, chosen);
  command->callback(
      [target, &chosen] { chosen.run = [target, &chosen] { return nodes(*target, chosen.is_json); }; });
}

}  // namespace paddock::cli
