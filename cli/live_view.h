// cli/live_view.h – a graph as a table, once or while it runs.
// On a terminal the table is drawn again in place; elsewhere each change is a line, progress at most every
// few seconds. Threads: one owner. Errors: as Connection; a coordinator that is away is waited for.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "base/result.h"
#include "cli/connection.h"
#include "cli/output.h"

namespace paddock::cli {

// "train 120/600  loss 8.91  143 images/s  4m 0s left", from a job's progress; "" when there is none.
std::string progress_text(const Json& progress);
// The table of a graph as cli/answers.h makes it.
std::string graph_text(const Json& graph);

class LiveView {
 public:
  // Draws what has changed since the last call.
  void show(const Json& graph);

 private:
  struct Shown {
    std::string state;
    std::string progress;
    std::chrono::steady_clock::time_point at;
  };
  void redraw(const Json& graph);
  void print_changes(const Json& graph);
  void print_counts(const Json& graph, std::chrono::steady_clock::time_point now);

  std::map<std::string, Shown> jobs_;
  std::string drawn_;
  std::chrono::steady_clock::time_point counts_at_{};
  std::size_t lines_drawn_ = 0;
};

// Shows the graph until it has ended; returns its last state as JSON. With `is_quiet` only waits.
Result<Json> follow_graph(Connection& connection, std::uint64_t graph, bool is_quiet);
// kDone if it succeeded, else kFailed.
int exit_code_of_graph(const Json& graph);

}  // namespace paddock::cli
