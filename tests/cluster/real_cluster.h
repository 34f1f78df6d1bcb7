// tests/cluster/real_cluster.h – the real programs on loopback: a coordinator, workers, and the command line to ask them.
// Everybody has keys, as on a real network: the coordinator, each worker, and the test itself, which is an operator.
// Tests wait for events (a line in a FIFO or in a log, `status --watch`), never for time. Everything lives in a folder of its own.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace paddock::cluster_test {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// A named pipe between the test and the jobs: read_line() waits until one of them says something.
class Fifo {
 public:
  explicit Fifo(fs::path path);
  ~Fifo();
  Fifo(const Fifo&) = delete;
  Fifo& operator=(const Fifo&) = delete;
  std::string read_line();
  void write_line(const std::string& line);
  const fs::path path;

 private:
  int file_ = -1;  // open for both, so that neither end ever sees the other leave
};

struct Outcome {
  int exit_code = -1;
  std::string out;
  std::string err;
};

class RealCluster : public ::testing::Test {
 protected:
  RealCluster();
  ~RealCluster() override;

  // `lease` as the command line takes it: "15s".
  // `variables`: "NAME=value", beside those that the test has.
  void start_coordinator(const std::string& lease = "15s", const std::vector<std::string>& more = {},
                         const std::vector<std::string>& variables = {});
  void start_worker(const std::string& name, const std::vector<std::string>& more = {},
                    const std::vector<std::string>& variables = {});
  void kill_now(std::string name);    // SIGKILL, and reaped
  void stop_all();                    // kill_now() for all that run
  int stop(const std::string& name);  // SIGTERM; its exit code
  void signal(const std::string& name, int number) const;
  void signal_guards(const std::string& worker, int number) const;  // and whatever else the worker started

  // Makes a key of this name, lets it in, and returns its secret file. `role` as `keys allow` takes it.
  fs::path allow(const std::string& name, const std::vector<std::string>& role);
  void revoke(const std::string& name);

  Outcome paddock(const std::vector<std::string>& words) const;  // against this cluster, as the operator
  static Outcome run(std::vector<std::string> words);            // just the program
  Json ask(
      const std::vector<std::string>& words) const;  // with --output json; fails the test unless exit code 0
  std::uint64_t submit(const std::string& yaml);
  Json wait_until_ended(std::uint64_t graph) const;  // status --watch
  Json graph(std::uint64_t id) const;
  static Json job(const Json& graph, const std::string& name);

  // What a daemon has logged so far, and how often something stands in it.
  std::string log_of(const std::string& name) const;
  static std::size_t count(const std::string& text, const std::string& what);
  void wait_for_log(const std::string& name, const std::string& what, std::size_t times = 1) const;

  fs::path folder;

 private:
  void make_keys();
  void spawn(const std::string& name, const std::vector<std::string>& argv,
             const std::vector<std::string>& variables = {});
  void wait_until_ready(int socket, const std::string& name) const;

  std::map<std::string, pid_t> processes_;
  int specs_ = 0;
};

}  // namespace paddock::cluster_test
