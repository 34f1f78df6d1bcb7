// worker/options.h – what an operator can set on a worker.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"

namespace paddock::worker {

struct WorkerOptions {
  std::string coordinator;  // endpoint, "tcp://host:port"
  // Its secret key, and the coordinator's public one: a key, or a file that holds it (wire/keys.h). Without both the
  // connection is plain, which has to be asked for and goes to this machine only.
  std::filesystem::path key;
  std::string server_key;
  bool plain = false;
  std::string node;  // its name in the cluster, [a-zA-Z0-9._-]; empty: the host's name
  std::string
      address;  // where ranks of other nodes reach this one; empty: the address that faces the coordinator
  std::filesystem::path state;   // folder for logs and specs of attempts; one worker at a time (locked)
  std::filesystem::path runner;  // runs the built-in kinds; empty: paddock-run beside this executable

  // As whom jobs run: "TENANT=USER", "*=USER" for all others. Empty: as the worker itself. Others need a worker that is root.
  std::vector<std::string> tenant_users;

  // Offered resources; empty: what the machine (affinity, cgroup) allows. Less lets two workers share a
  // machine.
  std::optional<std::uint32_t> cpus;
  std::optional<std::uint64_t> memory_bytes;
  std::map<std::string, std::string> labels;  // what jobs may ask for or avoid; `rack` says what is near
  std::string gpus = "all";                   // "all", "none", or indexes as nvidia-smi lists them: "0,2"

  // How long ranks may save after SIGTERM to the worker itself; afterwards SIGKILL.
  Millis stop_grace = std::chrono::seconds(20);
  // Of each rank's output, what is kept here, sent or not. When the coordinator is away for longer than this lasts, or a
  // rank writes faster than can be sent, the oldest is dropped and counted. At least 1 MiB.
  std::uint64_t log_spool_bytes = 256u << 20;
  // Ended attempts whose logs are kept; more takes more disk.
  std::uint32_t attempts_kept = 100;

  // How a rank's guard process is started (worker/guard.h); the worker appends its arguments.
  std::vector<std::string> guard_command = {"/proc/self/exe", "guard"};
  // How the process that asks for the GPUs' health is started (worker/gpu_watch.h), and how long it may take to list them.
  std::vector<std::string> gpu_watch_command = {"/proc/self/exe", "gpu-watch"};
  Millis gpu_patience = std::chrono::seconds(30);
};

}  // namespace paddock::worker
