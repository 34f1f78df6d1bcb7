#include "tests/cluster/real_cluster.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>

namespace paddock::cluster_test {
namespace {

const std::string kPaddock = std::string(PADDOCK_BIN_DIR) + "/paddock";

std::string read_all(int descriptor) {
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = read(descriptor, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(n));
  return text;
}

std::vector<char*> pointers(const std::vector<std::string>& argv) {
  std::vector<char*> result;
  for (const std::string& word : argv) result.push_back(const_cast<char*>(word.c_str()));
  result.push_back(nullptr);
  return result;
}

}  // namespace

Fifo::Fifo(fs::path given) : path(std::move(given)) {
  EXPECT_EQ(mkfifo(path.c_str(), 0600), 0) << path;
  file_ = open(path.c_str(), O_RDWR | O_CLOEXEC);
  EXPECT_GE(file_, 0) << path;
}

Fifo::~Fifo() {
  close(file_);
}

std::string Fifo::read_line() {
  std::string line;
  for (char c; read(file_, &c, 1) == 1 && c != '\n';) line += c;
  return line;
}

void Fifo::write_line(const std::string& line) {
  const std::string text = line + "\n";
  EXPECT_EQ(write(file_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

RealCluster::RealCluster() {
  std::string name = (fs::temp_directory_path() / "paddock-XXXXXX").string();
  folder = mkdtemp(name.data());
}

void RealCluster::stop_all() {
  while (!processes_.empty()) kill_now(processes_.begin()->first);
}

RealCluster::~RealCluster() {
  stop_all();
  std::error_code ignored;
  if (!HasFailure()) fs::remove_all(folder, ignored);
}

fs::path RealCluster::allow(const std::string& name, const std::vector<std::string>& role) {
  const fs::path keys = folder / "keys";
  EXPECT_EQ(run({"keys", "new", name, "--folder", keys}).exit_code, 0) << name;
  std::vector<std::string> words = {"keys", "allow", keys / (name + ".public"), "--list",
                                    folder / "allowed-keys"};
  words.insert(words.end(), role.begin(), role.end());
  const Outcome allowed = run(words);
  EXPECT_EQ(allowed.exit_code, 0) << allowed.err;
  return keys / (name + ".secret");
}

void RealCluster::revoke(const std::string& name) {
  EXPECT_EQ(run({"keys", "revoke", name, "--list", folder / "allowed-keys"}).exit_code, 0) << name;
}

void RealCluster::make_keys() {
  if (fs::exists(folder / "keys")) return;
  ASSERT_EQ(run({"keys", "new", "coordinator", "--folder", folder / "keys"}).exit_code, 0);
  fs::copy_file(allow("tester", {"--role", "operator"}), folder / "client.secret");
}

void RealCluster::start_coordinator(const std::string& lease, const std::vector<std::string>& more,
                                    const std::vector<std::string>& variables) {
  make_keys();
  std::vector<std::string> argv = {kPaddock,
                                   "coordinator",
                                   "--state",
                                   folder / "coordinator",
                                   "--store",
                                   folder / "store",
                                   "--bind",
                                   "tcp://127.0.0.1:*",
                                   "--endpoint-file",
                                   folder / "endpoint",
                                   "--key",
                                   folder / "keys/coordinator.secret",
                                   "--allow",
                                   folder / "allowed-keys",
                                   "--lease",
                                   lease,
                                   "--quiet",
                                   "--log",
                                   folder / "coordinator.log"};
  argv.insert(argv.end(), more.begin(), more.end());
  spawn("coordinator", argv, variables);
}

void RealCluster::start_worker(const std::string& name, const std::vector<std::string>& more,
                               const std::vector<std::string>& variables) {
  std::string endpoint;
  std::getline(std::ifstream(folder / "endpoint") >> std::ws, endpoint);
  const fs::path key = folder / "keys" / (name + ".secret");
  if (!fs::exists(key)) allow(name, {"--role", "worker"});
  std::vector<std::string> argv = {kPaddock,
                                   "worker",
                                   "--coordinator",
                                   endpoint,
                                   "--key",
                                   key,
                                   "--server-key",
                                   folder / "keys/coordinator.public",
                                   "--node",
                                   name,
                                   "--address",
                                   "127.0.0.1",
                                   "--state",
                                   folder / name,
                                   "--cpus",
                                   "1",
                                   "--quiet",
                                   "--log",
                                   folder / (name + ".log")};
  argv.insert(argv.end(), more.begin(), more.end());
  if (std::ranges::find(more, "--gpus") == more.end()) argv.insert(argv.end(), {"--gpus", "none"});
  spawn(name, argv, variables);
}

// The daemon says READY=1 on a datagram socket, as to systemd: that is the event a test waits for.
void RealCluster::spawn(const std::string& name, const std::vector<std::string>& argv,
                        const std::vector<std::string>& variables) {
  const int ready = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = folder / (name + ".ready");
  unlink(path.c_str());
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(bind(ready, reinterpret_cast<sockaddr*>(&address), sizeof address), 0) << path;
  const auto words = pointers(argv);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
    for (const std::string& variable : variables) putenv(const_cast<char*>(variable.c_str()));
    execv(words[0], words.data());
    _exit(127);
  }
  processes_[name] = pid;
  wait_until_ready(ready, name);
  close(ready);
}

void RealCluster::wait_until_ready(int socket, const std::string& name) const {
  timeval limit{60, 0};
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  for (std::string text; text.find("READY=1") == std::string::npos;) {
    char buffer[512];
    const ssize_t n = recv(socket, buffer, sizeof buffer, 0);
    ASSERT_GT(n, 0) << name << " did not say that it is ready; see " << folder / (name + ".log");
    text.append(buffer, static_cast<std::size_t>(n));
  }
}

void RealCluster::kill_now(std::string name) {
  const pid_t pid = processes_.at(name);
  processes_.erase(name);
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
}

void RealCluster::signal(const std::string& name, int number) const {
  kill(processes_.at(name), number);
}

void RealCluster::signal_guards(const std::string& worker, int number) const {
  const std::string pid = std::to_string(processes_.at(worker));
  std::ifstream children("/proc/" + pid + "/task/" + pid + "/children");
  int told = 0;
  for (pid_t child = 0; children >> child; ++told) EXPECT_EQ(kill(child, number), 0);
  EXPECT_GT(told, 0) << worker << " has no guards";
}

int RealCluster::stop(const std::string& name) {
  const pid_t pid = processes_.at(name);
  processes_.erase(name);
  kill(pid, SIGTERM);
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

Outcome RealCluster::paddock(const std::vector<std::string>& words) const {
  std::vector<std::string> all = words;
  all.insert(all.end(), {"--state", folder});
  return run(std::move(all));
}

Outcome RealCluster::run(std::vector<std::string> argv) {
  argv.insert(argv.begin(), kPaddock);
  const int errors = memfd_create("stderr", MFD_CLOEXEC);
  int out[2];
  EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
  const auto raw = pointers(argv);
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(out[1], STDOUT_FILENO);
    dup2(errors, STDERR_FILENO);
    execv(raw[0], raw.data());
    _exit(127);
  }
  close(out[1]);
  Outcome outcome;
  outcome.out = read_all(out[0]);
  close(out[0]);
  int status = 0;
  waitpid(pid, &status, 0);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  lseek(errors, 0, SEEK_SET);
  outcome.err = read_all(errors);
  close(errors);
  return outcome;
}

Json RealCluster::ask(const std::vector<std::string>& words) const {
  std::vector<std::string> all = words;
  all.insert(all.end(), {"--output", "json"});
  const Outcome outcome = paddock(all);
  EXPECT_EQ(outcome.exit_code, 0) << words[0] << ": " << outcome.out << outcome.err;
  return Json::parse(outcome.out, nullptr, false);
}

std::string RealCluster::log_of(const std::string& name) const {
  std::ifstream in(folder / (name + ".log"));
  return {std::istreambuf_iterator<char>(in), {}};
}

std::size_t RealCluster::count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

void RealCluster::wait_for_log(const std::string& name, const std::string& what, std::size_t times) const {
  const int changes = inotify_init1(IN_CLOEXEC);
  EXPECT_GE(inotify_add_watch(changes, (folder / (name + ".log")).c_str(), IN_MODIFY), 0) << name;
  while (count(log_of(name), what) < times) {
    char events[4096];
    if (read(changes, events, sizeof events) < 0 && errno != EINTR) break;
  }
  close(changes);
}

std::uint64_t RealCluster::submit(const std::string& yaml) {
  const fs::path file = folder / ("graph-" + std::to_string(++specs_) + ".yaml");
  std::ofstream(file) << yaml;
  return ask({"submit", file}).at("graph").get<std::uint64_t>();
}

Json RealCluster::wait_until_ended(std::uint64_t id) const {
  return ask({"status", std::to_string(id), "--watch"}).at("graphs").at(0);
}

Json RealCluster::graph(std::uint64_t id) const {
  return ask({"status", std::to_string(id)}).at("graphs").at(0);
}

Json RealCluster::job(const Json& graph, const std::string& name) {
  for (const Json& job : graph.at("jobs"))
    if (job.at("job") == name) return job;
  ADD_FAILURE() << "the graph has no job " << name << ": " << graph;
  return {};
}

}  // namespace paddock::cluster_test
