#include <signal.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <iostream>
#include <memory>

#include "cli/children.h"
#include "cli/command.h"
#include "cli/output.h"

namespace paddock::cli {
namespace {

constexpr const char* kCoordinator = "coordinator";

struct Options {
  std::filesystem::path state = ".paddock";
  std::string bind = "tcp://127.0.0.1:*";
  int workers = 2;
  int cpus_per_worker = 1;
  int gpus_per_worker = 0;
  std::string memory_per_worker;
  std::string lease;
  std::string runner;
  bool leaves_running = false;
};

Result<std::string> own_path() {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return fail(Code::kUnavailable, "/proc/self/exe cannot be read: " + error.message());
  return path.string();
}

class Cluster {
 public:
  Cluster(Options options, std::string program, Children children, bool is_json)
      : options_(std::move(options)),
        program_(std::move(program)),
        children_(std::move(children)),
        is_json_(is_json) {}

  Result<int> run() {
    if (const auto are_ready = start_all(); !are_ready || !*are_ready) {
      for (const std::string& name : names_) children_.signal(name, SIGKILL);
      if (!are_ready) return tl::unexpected<Error>(are_ready.error());
      return kFailed;
    }
    announce();
    return serve();
  }

 private:
  // False: one of them ended, or we were asked to stop, before all were ready.
  Result<bool> start_all() {
    TRY(start_coordinator(), "starting the coordinator");
    const auto is_ready = wait_until_ready({kCoordinator});
    if (!is_ready || !*is_ready) return is_ready;
    TRY(read_endpoint(), "starting the workers");
    std::vector<std::string> workers;
    for (int i = 0; i < options_.workers; ++i) {
      workers.push_back(std::string("worker-") + static_cast<char>('a' + i));
      TRY(start_worker(workers.back(), i), "starting " + workers.back());
      names_.push_back(workers.back());
    }
    return wait_until_ready(workers);
  }

  Result<void> start_coordinator() {
    names_ = {kCoordinator};
    std::vector<std::string> argv = {
        program_,          "coordinator",      "--state", folder(kCoordinator),
        "--store",         folder("store"),    "--bind",  options_.bind,
        "--endpoint-file", folder("endpoint"), "--log",   folder("coordinator.log"),
        "--quiet",         "--plain"};
    if (!options_.lease.empty()) argv.insert(argv.end(), {"--lease", options_.lease});
    return children_.start(kCoordinator, argv, !options_.leaves_running);
  }

  Result<void> start_worker(const std::string& name, int index) {
    std::string gpus = "none";
    for (int i = 0; i < options_.gpus_per_worker; ++i) {
      gpus = (i == 0 ? "" : gpus + ",") + std::to_string(index * options_.gpus_per_worker + i);
    }
    std::vector<std::string> argv = {
        program_,    "worker",    "--coordinator", endpoint_,
        "--node",    name,        "--state",       folder(name),
        "--address", "127.0.0.1", "--cpus",        std::to_string(options_.cpus_per_worker),
        "--gpus",    gpus,        "--log",         folder(name + ".log"),
        "--quiet",   "--plain"};
    if (!options_.memory_per_worker.empty())
      argv.insert(argv.end(), {"--memory", options_.memory_per_worker});
    if (!options_.runner.empty()) argv.insert(argv.end(), {"--runner", options_.runner});
    return children_.start(name, argv, !options_.leaves_running);
  }

  std::string folder(const std::string& name) const { return (options_.state / name).string(); }

  // The coordinator has written it before it said that it is ready.
  Result<void> read_endpoint() {
    std::ifstream file(options_.state / "endpoint");
    if (!std::getline(file, endpoint_) || endpoint_.empty()) {
      return fail(Code::kUnavailable, folder("endpoint") + " cannot be read");
    }
    return {};
  }

  // False: one of them ended, or we were asked to stop, before all were ready.
  Result<bool> wait_until_ready(std::vector<std::string> names) {
    while (!names.empty()) {
      auto event = children_.wait();
      if (!event) return tl::unexpected<Error>(event.error());
      if (const auto* ready = std::get_if<Children::BecameReady>(&*event)) std::erase(names, ready->name);
      if (const auto* ended = std::get_if<Children::Ended>(&*event)) {
        std::cerr << "paddock: " << ended->name << " " << ended->how << " before it was ready; see "
                  << folder(ended->name + ".log") << std::endl;
        return false;
      }
      if (std::holds_alternative<Children::Signalled>(*event)) return false;
    }
    return true;
  }

  void announce() const {
    if (is_json_) {
      Json processes = Json::array();
      for (const std::string& name : names_)
        processes.push_back({{"name", name}, {"pid", children_.pid_of(name)}});
      print_json_line({{"ready", true}, {"endpoint", endpoint_}, {"processes", std::move(processes)}});
      return;
    }
    std::string text = "ready: " + endpoint_;
    for (const std::string& name : names_)
      text += ", " + name + " (pid " + std::to_string(children_.pid_of(name)) + ")";
    print_text(text + "\n");
  }

  // Until we are asked to stop and all have ended: first the workers, so that their last reports are taken.
  Result<int> serve() {
    int stops = 0;
    while (children_.any_runs()) {
      auto event = children_.wait();
      if (!event) return tl::unexpected<Error>(event.error());
      if (const auto* ended = std::get_if<Children::Ended>(&*event)) {
        if (stops == 0) {
          std::cerr << "paddock: " << ended->name << " " << ended->how
                    << "; it is not started again, the others go on" << std::endl;
        }
      }
      if (std::holds_alternative<Children::Signalled>(*event)) {
        ++stops;
        for (const std::string& name : names_) {
          if (stops > 1)
            children_.signal(name, SIGKILL);
          else if (name != kCoordinator)
            children_.signal(name, SIGTERM);
        }
      }
      if (stops == 1 && !any_worker_runs()) children_.signal(kCoordinator, SIGTERM);
    }
    return stops > 0 ? kDone : kFailed;
  }

  bool any_worker_runs() const {
    for (const std::string& name : names_) {
      if (name != kCoordinator && children_.runs(name)) return true;
    }
    return false;
  }

  const Options options_;
  const std::string program_;
  Children children_;
  const bool is_json_;
  std::string endpoint_;
  std::vector<std::string> names_;  // of those started; the coordinator first
};

Result<int> dev(Options options, bool is_json) {
  TRY_ASSIGN(std::string program, own_path(), "finding this program");
  std::error_code error;
  options.state = std::filesystem::absolute(options.state, error);
  std::filesystem::create_directories(options.state, error);
  if (error) return fail(Code::kUnavailable, options.state.string() + " cannot be made: " + error.message());
  if (!options.runner.empty()) options.runner = std::filesystem::absolute(options.runner, error).string();
  TRY_ASSIGN(Children children, Children::open(), "starting");
  return Cluster(std::move(options), std::move(program), std::move(children), is_json).run();
}

}  // namespace

void add_dev(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("dev", "runs a coordinator and some workers on this machine, in the foreground");
  command->add_option("--state", options->state, "folder for everything they keep")->capture_default_str();
  command->add_option("--workers", options->workers, "how many")
      ->check(CLI::Range(1, 26))
      ->capture_default_str();
  command->add_option("--cpus-per-worker", options->cpus_per_worker, "that each offers")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command
      ->add_option("--gpus-per-worker", options->gpus_per_worker,
                   "that each offers; the first worker gets the first ones")
      ->check(CLI::Range(0, 64))
      ->capture_default_str();
  command->add_option("--memory-per-worker", options->memory_per_worker,
                      "that each offers, like 8GiB; else what there is");
  command
      ->add_option("--bind", options->bind, "where the coordinator listens, on loopback; port *: a free one")
      ->capture_default_str();
  command->add_option("--lease", options->lease, "how long a worker may go unheard, like 15s");
  command->add_option("--runner", options->runner,
                      "program that runs the built-in kinds; else paddock-run beside this one");
  command->add_flag("--leave-running", options->leaves_running,
                    "coordinator and workers go on when this process is killed");
  add_output_option(*command, chosen);
  command->callback(
      [options, &chosen] { chosen.run = [options, &chosen] { return dev(*options, chosen.is_json); }; });
}

}  // namespace paddock::cli
