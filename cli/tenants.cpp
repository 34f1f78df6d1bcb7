#include <CLI/Option.hpp>
#include <CLI/Validators.hpp>
#include <cmath>
#include <memory>

#include "cli/answers.h"
#include "cli/command.h"
#include "cli/connection.h"
#include "cli/output.h"
#include "jobs/spec/units.h"

namespace paddock::cli {
namespace {

struct Options {
  Target target;
  std::string name;
  double weight = 1;
  std::uint64_t cpus_max = 0;
  std::uint64_t gpus_max = 0;
  std::string memory_max;
};

std::string of(std::uint64_t used, std::uint64_t quota) {
  return std::to_string(used) + (quota == 0 ? "" : " of " + std::to_string(quota));
}

Json to_json(wire::Tenant::Reader tenant) {
  return {{"tenant", to_text(tenant.getName())},
          {"weight", tenant.getWeightPermille() / 1000.0},
          {"cpus", tenant.getCpus()},
          {"cpus_max", tenant.getCpusMax()},
          {"gpus", tenant.getGpus()},
          {"gpus_max", tenant.getGpusMax()},
          {"memory_bytes", tenant.getMemoryBytes()},
          {"memory_bytes_max", tenant.getMemoryBytesMax()},
          {"share_ppm", tenant.getScore()}};
}

Result<int> list(const Options& options, bool is_json) {
  const auto answer = ask(options.target, wire::Message::TENANTS,
                          [](wire::Message::Builder message) { message.setTenantsRequest(); });
  if (!answer) return tl::unexpected<Error>(answer.error());
  Json all = Json::array();
  std::vector<Row> rows;
  for (const auto tenant : answer->message().getTenants()) {
    const Json json = to_json(tenant);
    rows.push_back({text_of(json, "tenant"), json["weight"].dump(), of(tenant.getCpus(), tenant.getCpusMax()),
                    of(tenant.getGpus(), tenant.getGpusMax()), show_bytes(tenant.getMemoryBytes()),
                    std::to_string(tenant.getScore() / 10'000) + "%"});
    all.push_back(json);
  }
  if (is_json)
    print_json({{"tenants", std::move(all)}});
  else if (rows.empty())
    print_text("nobody has run anything yet\n");
  else
    print_text(table({"TENANT", "WEIGHT", "CPUS", "GPUS", "MEMORY", "HAS AND HAD"}, rows));
  return kDone;
}

Result<int> set(const Options& options, bool is_json) {
  const auto memory = spec::parse_size(options.memory_max);
  const auto answer = ask(options.target, wire::Message::DONE, [&](wire::Message::Builder message) {
    auto tenant = message.initSetTenant();
    tenant.setName(options.name);
    tenant.setWeightPermille(static_cast<std::uint32_t>(std::llround(options.weight * 1000)));
    tenant.setCpusMax(options.cpus_max);
    tenant.setGpusMax(options.gpus_max);
    tenant.setMemoryBytesMax(memory ? memory->bytes : 0);
  });
  if (!answer) return tl::unexpected<Error>(answer.error());
  if (is_json)
    print_json({{"tenant", options.name}});
  else
    print_text("tenant " + options.name + " is set\n");
  return kDone;
}

}  // namespace

void add_tenants(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "tenants",
      "lists who has what of the cluster; with a name sets its weight and its quota, those left out to none");
  command->add_option("NAME", options->name, "the tenant to set");
  command->add_option("--weight", options->weight, "twice the weight, twice the share")
      ->check(CLI::Range(0.001, 1000.0))
      ->capture_default_str();
  command->add_option("--cpus-max", options->cpus_max, "cores at once; 0: as many as there are")
      ->capture_default_str();
  command->add_option("--gpus-max", options->gpus_max, "GPUs at once; 0: as many as there are")
      ->capture_default_str();
  command
      ->add_option("--memory-max", options->memory_max,
                   "set aside at once, like 512GiB; without it all there is")
      ->check(CLI::Validator(
          [](std::string& text) { return spec::parse_size(text) ? "" : text + " is not a size like 16GiB"; },
          "SIZE"));
  add_target_options(*command, options->target);
  add_output_option(*command, chosen);
  command->callback([options, &chosen] {
    chosen.run = [options, &chosen] {
      return options->name.empty() ? list(*options, chosen.is_json) : set(*options, chosen.is_json);
    };
  });
}

}  // namespace paddock::cli
