#include "tests/worker/cluster_of_one.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/cgroup.h"

namespace paddock::worker {

namespace fs = std::filesystem;

Lifeline::Lifeline(const fs::path& where) : path(where.string()) {
  mkfifo(path.c_str(), 0600);
}

Lifeline::~Lifeline() {
  if (file_ >= 0) close(file_);
}

std::string Lifeline::read_line() {
  if (file_ < 0) file_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);  // waits for the first writer
  std::string line;
  for (char letter = 0; read(file_, &letter, 1) == 1 && letter != '\n';) line += letter;
  return line;
}

ClusterOfOne::ClusterOfOne(Millis lease)
    : lease_(lease), server_(wire::Server::open("tcp://127.0.0.1:*").value()) {
  endpoint_ = server_->endpoint();
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  const std::string state = (folder / "worker").string();
  worker_ = fork();
  if (worker_ == 0) {
    execl("/proc/self/exe", "paddock", "worker", endpoint_.c_str(), state.c_str(), nullptr);
    _exit(127);
  }
  until_joined(1);
}

ClusterOfOne::~ClusterOfOne() {
  if (worker_ > 0) {
    kill(worker_, SIGKILL);
    wait_for_worker();
  }
  while (waitpid(-1, nullptr, 0) > 0) {  // the guards that it left came to us; they end by themselves
  }
  Cgroups::open(cgroup_name("a", folder / "worker"), 0).close();  // what a killed one could not remove
}

int ClusterOfOne::wait_for_worker() {
  int status = 0;
  waitpid(worker_, &status, 0);
  worker_ = -1;
  return status;
}

void ClusterOfOne::restart_coordinator() {
  server_.reset();
  server_.emplace(wire::Server::open(endpoint_).value());
}

Fence ClusterOfOne::start(const std::string& script, std::uint64_t memory_bytes) {
  const Fence fence(++last_fence_);
  starts_[fence] = {script, memory_bytes};
  send_start(fence);
  return fence;
}

void ClusterOfOne::send_start(Fence fence) {
  capnp::MallocMessageBuilder builder;
  auto order = wire::begin(builder).initStartRanks();
  order.setGraph(1);
  order.setJob("job-" + std::to_string(fence.value));
  order.setAttempt(1);
  order.setFence(fence.value);
  order.setKind("command");
  auto command = order.initCommand(3);
  command.set(0, "/bin/sh");
  command.set(1, "-c");
  command.set(2, starts_[fence].script);
  order.setSpec("{}");
  order.setDirectory((folder / "job").string());
  order.setWorldSize(1);
  order.setMasterAddress("127.0.0.1");
  order.setMemoryBytesPerRank(starts_[fence].memory_bytes);
  order.initRanks(1)[0].setCpus(1);
  ASSERT_TRUE(server_->send(peer_, builder));
}

void ClusterOfOne::end(Fence fence, Millis grace) {
  capnp::MallocMessageBuilder builder;
  auto order = wire::begin(builder).initEndAttempt();
  order.setFence(fence.value);
  order.setGraceMs(static_cast<std::uint32_t>(grace.count()));
  order.setReason("the test wants it");
  ASSERT_TRUE(server_->send(peer_, builder));
}

void ClusterOfOne::grant(const wire::Peer& peer, std::uint64_t sequence) {
  peer_ = peer;
  capnp::MallocMessageBuilder builder;
  auto lease = wire::begin(builder).initLease();
  lease.setSequence(sequence);
  lease.setLeaseMs(static_cast<std::uint32_t>(lease_.count()));
  lease.setJoined(true);
  static_cast<void>(server_->send(peer, builder));
}

void ClusterOfOne::take_reports(const wire::Peer& peer, wire::Reports::Reader reports) {
  std::uint64_t newest = 0;
  for (const auto report : reports.getReports()) {
    const Fence fence(report.getFence());
    newest = std::max(newest, report.getNumber());
    if (report.isLog()) {
      const auto log = report.getLog();
      const std::string bytes(reinterpret_cast<const char*>(log.getBytes().begin()), log.getBytes().size());
      logs[fence] = logs[fence].substr(0, log.getOffset()) + bytes;
      log_is_whole[fence] = log.getLast();
    } else if (report.isStarted()) {
      findings[fence].emplace_back(Started{report.getStarted()});
    } else if (report.isEnded()) {
      const auto ended = report.getEnded();
      findings[fence].emplace_back(Ended{ended.getExitCode(), ended.getSignal(), ended.getReason().cStr(),
                                         ended.getOutOfMemory(), ended.getNodeFault()});
    } else if (report.isProgress()) {
      findings[fence].emplace_back(Progress{report.getProgress().cStr()});
    } else if (report.isArtifact()) {
      findings[fence].emplace_back(Artifact{report.getArtifact().getName().cStr(), "", ""});
    } else if (report.isFailure()) {
      findings[fence].emplace_back(Failure{report.getFailure().cStr()});
    }
  }
  if (newest == 0 || !acknowledges) return;
  capnp::MallocMessageBuilder builder;
  wire::begin(builder).setAcknowledged(newest);
  static_cast<void>(server_->send(peer, builder));
}

void ClusterOfOne::take(const wire::Peer& peer, wire::Message::Reader message) {
  if (message.isJoin()) {
    ++joins;
    held_at_join.clear();
    for (const auto held : message.getJoin().getHeld()) {
      held_at_join.push_back(RankKey{Fence(held.getFence()), RankId(held.getRank())});
    }
    grant(peer, message.getJoin().getSequence());
  } else if (message.isHeartbeat()) {
    grant(peer, message.getHeartbeat().getSequence());
  } else if (message.isReports()) {
    take_reports(peer, message.getReports());
  } else if (message.isLeave()) {
    left_ = true;
  }
}

void ClusterOfOne::turn() {
  ASSERT_TRUE(server_->wait(Millis(-1)));  // ctest ends a test that waits in vain
  while (auto received = server_->receive()) take(received->peer, received->envelope.message());
}

template <typename Kind>
const Kind* ClusterOfOne::find(Fence fence) const {
  const auto at = findings.find(fence);
  if (at == findings.end()) return nullptr;
  for (const Finding& finding : at->second) {
    if (const Kind* kind = std::get_if<Kind>(&finding)) return kind;
  }
  return nullptr;
}

std::int64_t ClusterOfOne::pid_of(Fence fence) {
  while (find<Started>(fence) == nullptr) turn();
  return find<Started>(fence)->pid;
}

Ended ClusterOfOne::end_of(Fence fence) {
  while (find<Ended>(fence) == nullptr) turn();
  return *find<Ended>(fence);
}

void ClusterOfOne::until_joined(int times) {
  while (joins < times) turn();
}

void ClusterOfOne::until_left() {
  while (!left_) turn();
}

}  // namespace paddock::worker
