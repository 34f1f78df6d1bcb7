#include "worker/daemon.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <system_error>
#include <utility>

#include "worker/loop.h"

namespace paddock::worker {
namespace {

namespace fs = std::filesystem;

Result<Descriptor> lock_state(const fs::path& state) {
  std::error_code error;
  fs::create_directories(state, error);
  if (error)
    return fail(Code::kUnavailable, "making the state folder " + state.string() + ": " + error.message());
  Descriptor lock(open((state / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (lock.number() < 0) {
    return fail(Code::kUnavailable,
                (state / "lock").string() + ": " + std::generic_category().message(errno));
  }
  if (flock(lock.number(), LOCK_EX | LOCK_NB) != 0) {
    return fail(Code::kConflict,
                "another worker holds the state folder " + state.string() + "; give each its own");
  }
  return lock;
}

// SIGTERM, SIGINT and SIGCHLD as a descriptor, so that they wait in the same place as everything else.
Result<Descriptor> catch_signals() {
  sigset_t watched;
  sigemptyset(&watched);
  for (const int number : {SIGTERM, SIGINT, SIGCHLD}) sigaddset(&watched, number);
  Descriptor signals(signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
  if (signals.number() < 0 || pthread_sigmask(SIG_BLOCK, &watched, nullptr) != 0) {
    return fail(Code::kUnavailable, "watching signals: " + std::generic_category().message(errno));
  }
  return signals;
}

Result<WorkerOptions> resolve(const WorkerOptions& given) {
  WorkerOptions options = given;
  std::error_code error;
  if (options.state.empty()) return fail(Code::kInvalid, "the worker needs a state folder (--state)");
  options.state = fs::absolute(options.state, error).lexically_normal();
  if (options.runner.empty())
    options.runner = fs::read_symlink("/proc/self/exe", error).parent_path() / "paddock-run";
  if (!error) options.runner = fs::absolute(options.runner, error);
  if (error) return fail(Code::kUnavailable, "finding the worker's folders: " + error.message());
  if (options.log_spool_bytes < (1u << 20))
    return fail(Code::kInvalid, "the log spool must be at least 1 MiB");
  if (options.guard_command.empty()) return fail(Code::kInvalid, "no command for guards");
  return options;
}

Result<wire::Client> connect(const WorkerOptions& options) {
  if (options.plain && (!options.key.empty() || !options.server_key.empty()))
    return fail(Code::kInvalid, "--plain and keys exclude each other");
  if (options.plain) return wire::Client::open(options.coordinator);
  if (options.key.empty() || options.server_key.empty()) {
    return fail(Code::kInvalid,
                "a worker needs its key (--key, made by `paddock keys new`) and the coordinator's public key "
                "(--server-key); --plain goes without, on this machine only");
  }
  TRY_ASSIGN(wire::ClientSecurity security, wire::read_client_security(options.key, options.server_key),
             "reading the keys");
  return wire::Client::open(options.coordinator, std::move(security));
}

// Each attempt takes one here, and there are seldom more attempts than cores.
std::size_t ports_for(std::uint32_t cpus) {
  return std::clamp<std::size_t>(cpus, RendezvousPorts::kPorts, RendezvousPorts::kPortsMax);
}

}  // namespace

Result<void> run_worker(const WorkerOptions& given, const Log& log) {
  TRY_ASSIGN(WorkerOptions options, resolve(given), "reading the worker's options");
  TRY_ASSIGN(Descriptor lock, lock_state(options.state), "starting the worker");
  TRY_ASSIGN(Descriptor signals, catch_signals(), "starting the worker");
  GpuMonitor monitor(options.gpu_watch_command, log);
  std::vector<Gpu> gpus;
  if (options.gpus != "none") {
    TRY_ASSIGN(gpus, monitor.list(options.gpu_patience), "finding the GPUs (--gpus none leaves them out)");
  }
  TRY_ASSIGN(Identity identity, make_identity(options, gpus), "starting the worker");
  TRY_ASSIGN(TenantUsers tenant_users, TenantUsers::parse(options.tenant_users), "starting the worker");
  if (geteuid() == 0 && tenant_users.empty())
    log.warn("jobs_run_as_root", {{"instead", "--tenant-user TENANT=USER, or *=USER"}});
  TRY_ASSIGN(RendezvousPorts ports, RendezvousPorts::hold(ports_for(identity.cpus)), "starting the worker");
  identity.ports = ports.ports();
  Cgroups cgroups = Cgroups::open(cgroup_name(identity.node, options.state), identity.memory_bytes);
  TRY_ASSIGN(wire::Client client, connect(options), "starting the worker");
  log.info("worker_started", {{"node", identity.node},
                              {"address", identity.address},
                              {"cpus", identity.cpus},
                              {"memory_bytes", identity.memory_bytes},
                              {"gpus", identity.gpus.size()},
                              {"bounds", cgroups.description()}});
  Loop loop(Parts{std::move(options), log, std::move(identity), std::move(tenant_users), std::move(ports),
                  std::move(cgroups), std::move(monitor), std::move(client), std::move(lock),
                  std::move(signals)});
  return loop.run();
}

}  // namespace paddock::worker
