// The program `paddock`: the commands of cli/, the two daemons and their simulation, which only this file knows together.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Option.hpp>
#include <CLI/Validators.hpp>
#include <iostream>
#include <memory>

#include "base/ids.h"
#include "base/limits.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/output.h"
#include "coordinator/daemon.h"
#include "coordinator/options.h"
#include "jobs/spec/units.h"
#include "simulation/simulation.h"
#include "simulation/workload/trial.h"
#include "worker/daemon.h"
#include "worker/gpu_watch.h"
#include "worker/guard.h"
#include "worker/options.h"

namespace paddock::cli {
namespace {

// Options that are durations and sizes arrive as text: checked by these, read after parsing.
const CLI::Validator kDuration(
    [](std::string& text) {
      return spec::parse_duration(text) ? "" : text + " is not a duration like 500ms, 30s or 5m";
    },
    "DURATION");
const CLI::Validator kSize(
    [](std::string& text) {
      return spec::parse_size(text) ? "" : text + " is not a size like 512MiB or 16GiB";
    },
    "SIZE");

const CLI::Validator kLabel(
    [](std::string& text) {
      const std::size_t equals = text.find('=');
      const bool is_label = equals != std::string::npos && is_name(text.substr(0, equals)) &&
                            text.size() - equals <= limits::kNameBytesMax;
      return is_label ? "" : text + " is not a label like rack=r1";
    },
    "NAME=VALUE");

struct LogOptions {
  std::filesystem::path file;
  bool is_quiet = false;
};

void add_log_options(CLI::App& command, LogOptions& options) {
  command.add_option("--log", options.file, "also writes its log here, JSON lines, appended");
  command.add_flag("--quiet", options.is_quiet, "writes no log to standard error");
}

// Ranks start in other folders: what they are told must not depend on where the daemon was started.
void make_absolute(std::filesystem::path& path) {
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error);
  if (!path.empty() && !error)
    path = absolute.lexically_normal();  // else the daemon says what is wrong with the path
}

Result<Log> open_log(const LogOptions& options) {
  Log log;
  if (options.is_quiet) log.quiet();
  if (!options.file.empty()) TRY(log.open_file(options.file), "opening the log");
  return log;
}

struct CoordinatorArguments {
  coordinator::CoordinatorOptions options;
  LogOptions log;
  std::string lease;
  std::string lease_margin;
  std::string log_bytes_max;
  std::string keep_ended;
  std::string keep_archive;
  std::string reserve;
};

// How much of what has ended is kept, and where.
void add_retention_options(CLI::App& command, CoordinatorArguments& given) {
  command
      .add_option("--keep-ended", given.keep_ended,
                  "how long ended graphs stay in memory, not only in the archive")
      ->check(kDuration)
      ->default_str(spec::format_duration(given.options.keep_ended));
  command
      .add_option("--ended-jobs-max", given.options.ended_jobs_max,
                  "of ended graphs in memory; beyond it the oldest go to the archive")
      ->capture_default_str();
  command
      .add_option("--keep-archive", given.keep_archive,
                  "how long ended graphs are in the archive, and their output is kept; without it for ever")
      ->check(kDuration);
  command.add_option(
      "--archive-jobs-max", given.options.archive_jobs_max,
      "jobs in the archive; beyond it the graphs that ended first are removed; without it all stay");
}

void add_coordinator(CLI::App& app, Chosen& chosen) {
  auto given = std::make_shared<CoordinatorArguments>();
  auto& options = given->options;
  options.state = ".paddock/coordinator";
  options.store = ".paddock/store";
  CLI::App* command = app.add_subcommand("coordinator", "the daemon that schedules: one a cluster");
  command->add_option("--state", options.state, "its own folder: database and logs of ranks")
      ->capture_default_str();
  command->add_option("--store", options.store, "folder that all nodes see under the same path")
      ->capture_default_str();
  command->add_option("--bind", options.bind, "where it listens; port *: a free one")->capture_default_str();
  command->add_option("--key", options.key, "its secret key, as `paddock keys new coordinator` makes it");
  command->add_option("--allow", options.allow, "whose keys it answers to, as `paddock keys allow` keeps it");
  command->add_flag("--plain", options.plain,
                    "without keys: unencrypted, open to all on this machine, loopback only");
  command->add_option("--endpoint-file", options.endpoint_file,
                      "written once it takes requests: its endpoint");
  command->add_option("--lease", given->lease, "how long a worker may go unheard before its ranks end")
      ->check(kDuration)
      ->default_str(spec::format_duration(options.lease));
  command->add_option("--lease-margin", given->lease_margin, "added to it until the node counts as lost")
      ->check(kDuration)
      ->default_str(spec::format_duration(options.lease_margin));
  command
      ->add_option("--disk-reserve", given->reserve,
                   "kept free for what was accepted before its disk filled up")
      ->check(kSize)
      ->default_str(spec::format_size({options.disk_reserve_bytes}));
  command->add_option("--log-bytes-max", given->log_bytes_max, "of one rank's output that are kept")
      ->check(kSize)
      ->default_str(spec::format_size({options.log_bytes_max}));
  add_retention_options(*command, *given);
  add_log_options(*command, given->log);
  command->callback([given, &chosen] {
    chosen.run = [given]() -> Result<int> {
      coordinator::CoordinatorOptions& chosen_options = given->options;
      make_absolute(chosen_options.state);
      make_absolute(chosen_options.store);
      make_absolute(chosen_options.key);
      make_absolute(chosen_options.allow);
      if (const auto lease = spec::parse_duration(given->lease)) chosen_options.lease = *lease;
      if (const auto margin = spec::parse_duration(given->lease_margin))
        chosen_options.lease_margin = *margin;
      if (const auto size = spec::parse_size(given->reserve)) chosen_options.disk_reserve_bytes = size->bytes;
      if (const auto size = spec::parse_size(given->log_bytes_max))
        chosen_options.log_bytes_max = size->bytes;
      if (const auto time = spec::parse_duration(given->keep_ended)) chosen_options.keep_ended = *time;
      if (const auto time = spec::parse_duration(given->keep_archive)) chosen_options.keep_archive = *time;
      TRY_ASSIGN(const Log log, open_log(given->log), "coordinator");
      TRY(coordinator::run_coordinator(chosen_options, log), "coordinator");
      return kDone;
    };
  });
}

void add_worker(CLI::App& app, Chosen& chosen) {
  struct Arguments {
    worker::WorkerOptions options;
    LogOptions log;
    std::uint32_t cpus = 0;
    std::string memory;
    std::string log_spool;
    std::string stop_grace;
    std::vector<std::string> labels;
  };
  auto given = std::make_shared<Arguments>();
  auto& options = given->options;
  options.state = ".paddock/worker";
  CLI::App* command = app.add_subcommand("worker", "the daemon that runs jobs: one a machine");
  command->add_option("--coordinator", options.coordinator, "where it listens: tcp://HOST:PORT")->required();
  command->add_option("--key", options.key, "its secret key, as `paddock keys new` makes it");
  command->add_option("--server-key", options.server_key, "the coordinator's public key, or a file with it");
  command->add_flag("--plain", options.plain, "without keys: to a coordinator on this machine that has none");
  command->add_option("--node", options.node, "its name in the cluster; without it the host's name");
  command->add_option("--address", options.address,
                      "where other nodes reach it; without it what faces the coordinator");
  command->add_option("--state", options.state, "its own folder: logs and options of attempts")
      ->capture_default_str();
  command->add_option("--runner", options.runner,
                      "runs the built-in kinds; without it paddock-run beside this program");
  command->add_option("--tenant-user", options.tenant_users,
                      "TENANT=USER, or *=USER: as whom jobs run, where the worker is root; may be repeated");
  command->add_option("--cpus", given->cpus, "offered; without it what the machine allows")
      ->check(CLI::Range(1, 4096));
  command->add_option("--memory", given->memory, "offered, like 64GiB; without it what the machine allows")
      ->check(kSize);
  command->add_option("--gpus", options.gpus, "offered: all, none, or indexes as nvidia-smi lists them: 0,2")
      ->capture_default_str();
  command
      ->add_option("--stop-grace", given->stop_grace,
                   "how long ranks may save when this worker is asked to stop")
      ->check(kDuration)
      ->default_str(spec::format_duration(options.stop_grace));
  command->add_option("--log-spool", given->log_spool, "of each rank's output that is kept here, sent or not")
      ->check(kSize)
      ->default_str(spec::format_size({options.log_spool_bytes}));
  command
      ->add_option("--label", given->labels,
                   "what jobs may ask for or avoid, like rack=r1; may be given again")
      ->check(kLabel);
  command->add_option("--attempts-kept", options.attempts_kept, "ended attempts whose logs are kept")
      ->capture_default_str();
  add_log_options(*command, given->log);
  command->callback([given, &chosen] {
    chosen.run = [given]() -> Result<int> {
      worker::WorkerOptions& chosen_options = given->options;
      make_absolute(chosen_options.state);
      make_absolute(chosen_options.runner);
      if (given->cpus > 0) chosen_options.cpus = given->cpus;
      for (const std::string& label : given->labels)
        chosen_options.labels[label.substr(0, label.find('='))] = label.substr(label.find('=') + 1);
      if (const auto memory = spec::parse_size(given->memory)) chosen_options.memory_bytes = memory->bytes;
      if (const auto spool = spec::parse_size(given->log_spool))
        chosen_options.log_spool_bytes = spool->bytes;
      if (const auto grace = spec::parse_duration(given->stop_grace)) chosen_options.stop_grace = *grace;
      TRY_ASSIGN(const Log log, open_log(given->log), "worker");
      TRY(worker::run_worker(chosen_options, log), "worker");
      return kDone;
    };
  });
}

Result<int> simulate_seeds(std::uint64_t first, std::uint64_t seeds, bool prints_events) {
  bool is_good = true;
  for (std::uint64_t i = 0; i < seeds; ++i) {
    const auto outcome = simulation::simulate(first + i, prints_events ? &std::cout : nullptr);
    for (const std::string& violation : outcome.violations)
      std::cout << "seed " << outcome.seed << ": " << violation << '\n';
    if (seeds == 1)
      std::cout << "seed " << outcome.seed << ": " << outcome.events << " events, hash " << outcome.hash
                << (outcome.violations.empty() ? ", nothing wrong\n" : "\n");
    is_good = is_good && outcome.violations.empty();
  }
  if (seeds > 1 && is_good) std::cout << seeds << " histories from seed " << first << ": nothing wrong\n";
  return is_good ? kDone : kFailed;
}

Result<int> simulate_workload(const simulation::TrialOptions& options, bool is_json) {
  TRY_ASSIGN(const simulation::Trial trial, simulation::try_workload(options), "simulate");
  if (is_json) {
    print_json(trial.json);
    return kDone;
  }
  for (const std::string& note : trial.notes) print_text(note + "\n");
  print_text(table(trial.columns, trial.rows));
  return kDone;
}

void add_simulate(CLI::App& app, Chosen& chosen) {
  struct Given {
    std::uint64_t seeds = 1;
    bool events = false;
    simulation::TrialOptions trial;
  };
  const auto given = std::make_shared<Given>();
  auto& trial = given->trial;
  CLI::App* command = app.add_subcommand("simulate",
                                         "coordinator and workers through simulated faults: the same seed, "
                                         "the same history; or a workload under "
                                         "FIFO, EASY and Paddock's scheduler");
  command->add_option("--seed", trial.seed, "which history, or which workload")->capture_default_str();
  command->add_option("--seeds", given->seeds, "so many histories, from that one on")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_flag("--events", given->events, "prints all that happens");
  CLI::Option* const trace = command->add_option(
      "--trace", trial.trace, "replays this workload (Standard Workload Format) instead of a history");
  command
      ->add_option("--synthetic", trial.synthetic,
                   "draws a workload of so many jobs (Lublin and Feitelson 2003) instead of a history")
      ->check(CLI::PositiveNumber)
      ->excludes(trace);
  command->add_option("--load", trial.load, "of what the cluster can do, offered by a drawn workload")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--write", trial.write, "writes the workload there, in the same format");
  command->add_option("--nodes", trial.nodes, "of the cluster; without it what the trace says")
      ->check(CLI::PositiveNumber);
  command->add_option("--cores", trial.cores, "of each node; without it what the trace says, or 1")
      ->check(CLI::PositiveNumber);
  command->add_option("--policy", trial.policy, "fifo, easy, paddock or all")
      ->check(CLI::IsMember({"fifo", "easy", "paddock", "all"}))
      ->capture_default_str();
  add_output_option(*command, chosen);
  command->callback([&chosen, given] {
    chosen.run = [&chosen, given]() -> Result<int> {
      const auto& options = given->trial;
      const bool has_workload = !options.trace.empty() || options.synthetic > 0;
      const bool is_of_workload = options.nodes > 0 || options.cores > 0 || !options.write.empty() ||
                                  options.policy != "all" ||
                                  options.load != simulation::TrialOptions().load || chosen.is_json;
      if (!has_workload && is_of_workload)
        return fail(
            Code::kInvalid,
            "--nodes, --cores, --load, --policy, --write and --output are of a workload: give --trace or "
            "--synthetic");
      if (has_workload && (given->seeds > 1 || given->events))
        return fail(Code::kInvalid,
                    "--seeds and --events are of histories: leave out --trace and --synthetic");
      if (!has_workload) return simulate_seeds(given->trial.seed, given->seeds, given->events);
      return simulate_workload(given->trial, chosen.is_json);
    };
  });
}

int report(const Error& error, bool is_json) {
  if (is_json) {
    print_json({{"error", {{"code", std::string(name_of(error.code))}, {"message", error.message}}}});
  } else {
    // Problems of a graph are lines of their own, `file:line: …`, as editors understand them.
    const bool is_list = error.code == Code::kInvalid && error.message.find('\n') != std::string::npos;
    std::cerr << (is_list ? "" : "paddock: ") << error.message << std::endl;
  }
  return exit_code_of(error);
}

int run(int argc, char** argv) {
  CLI::App app("Paddock raises DINOv2 models on a cluster.", "paddock");
  app.require_subcommand(1);
  app.set_version_flag("--version", PADDOCK_VERSION);
  app.footer(
      "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 not allowed, 5 no coordinator answers, or "
      "a file or port "
      "is not to be had.");
  Chosen chosen;
  add_dev(app, chosen);
  add_coordinator(app, chosen);
  add_worker(app, chosen);
  add_submit(app, chosen);
  add_plan(app, chosen);
  add_status(app, chosen);
  add_logs(app, chosen);
  add_cancel(app, chosen);
  add_why(app, chosen);
  add_retry(app, chosen);
  add_schedules(app, chosen);
  add_reservations(app, chosen);
  add_nodes(app, chosen);
  add_drain(app, chosen);
  add_resume(app, chosen);
  add_tenants(app, chosen);
  add_checkpoints(app, chosen);
  add_artifacts(app, chosen);
  add_recipes(app, chosen);
  add_schema(app, chosen);
  add_keys(app, chosen);
  add_simulate(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kWrongUsage;  // prints help, or what is wrong
  }
  const auto outcome = chosen.run();
  return outcome ? *outcome : report(outcome.error(), chosen.is_json);
}

}  // namespace
}  // namespace paddock::cli

int main(int argc, char** argv) {
  // Before anything else: the guard has no log, no thread and no parser.
  if (argc > 1 && std::string_view(argv[1]) == "guard")
    return paddock::worker::guard_main(argc - 1, argv + 1);
  if (argc > 1 && std::string_view(argv[1]) == "gpu-watch") return paddock::worker::gpu_watch_main();
  return paddock::cli::run(argc, argv);
}
