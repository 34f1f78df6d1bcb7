#include "cli/live_view.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "cli/answers.h"

namespace paddock::cli {
namespace {

constexpr Millis kLookEvery{500};
constexpr std::size_t kJobsWatchedMax = 1'000;  // of a larger graph only what runs is shown
constexpr std::size_t kRunningShownMax = 20;
constexpr std::chrono::seconds kLineEvery(5);  // progress lines of one job where there is no terminal

std::string format(const char* pattern, double number) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), pattern, number);
  return text.data();
}

std::string nodes_text(const Json& nodes) {
  std::string text;
  std::string last;
  for (const Json& node : nodes) {
    if (node == last) continue;
    last = node.get<std::string>();
    text += (text.empty() ? "" : ",") + last;
  }
  return text;
}

// What there is to say about a job besides its state.
std::string detail_of(const Json& job) {
  if (job["cached"] == true) return "taken from the cache";
  const std::string progress = job["state"] == "running" ? progress_text(job["progress"]) : "";
  return progress.empty() ? plain(text_of(job, "reason")) : progress;
}

std::string elapsed(const Json& job) {
  const double start = number_of(job, "started_unix_ms");
  const double end = number_of(job, "ended_unix_ms");
  return start > 0 && end > 0 ? show_seconds((end - start) / 1000) : "";
}

std::string state_of(const Json& job) {
  std::string text = text_of(job, "state");
  if (number_of(job, "attempt") > 1) text += " #" + format("%.0f", number_of(job, "attempt"));
  return text;
}

bool has_ended(const Json& graph) {
  return graph["state"] != "active";
}

std::size_t terminal_columns() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

}  // namespace

std::string progress_text(const Json& progress) {
  if (!progress.is_object()) return "";
  std::string text = text_of(progress, "phase");
  const auto add = [&](const std::string& more, const char* gap = "  ") {
    if (!more.empty()) text += (text.empty() ? "" : gap) + more;
  };
  if (progress.contains("step")) {
    std::string step = format("%.0f", number_of(progress, "step"));
    if (progress.contains("steps")) step += "/" + format("%.0f", number_of(progress, "steps"));
    add(step, " ");
  }
  if (progress.contains("loss")) add("loss " + format("%.4g", number_of(progress, "loss")));
  if (progress.contains("loss") && progress.contains("loss_of"))
    add("(" + text_of(progress, "loss_of") + ")", " ");
  if (progress.contains("rate")) {
    const std::string unit = text_of(progress, "unit");
    add(format("%.4g", number_of(progress, "rate")) + " " + (unit.empty() ? "steps/s" : unit));
  }
  if (progress.contains("seconds_left")) {
    const std::string left = show_seconds(number_of(progress, "seconds_left"));
    if (!left.empty()) add(left + " left");
  }
  if (number_of(progress, "quarantined") > 0)
    add(format("%.0f", number_of(progress, "quarantined")) + " pictures put aside");
  add(text_of(progress, "health"));
  return plain(text);
}

std::string graph_text(const Json& graph) {
  const bool is_whole = graph["jobs"].size() == jobs_of(graph);
  std::string text = "graph " + std::to_string(graph["graph"].get<std::uint64_t>()) + " " +
                     text_of(graph, "name") + ": " +
                     (is_whole ? text_of(graph, "state") : counts_text(graph)) + "\n";
  if (graph["jobs"].empty()) return text;
  std::vector<Row> rows;
  for (const Json& job : graph["jobs"]) {
    rows.push_back(
        {text_of(job, "job"), state_of(job), nodes_text(job["nodes"]), elapsed(job), detail_of(job)});
  }
  return text + table({"JOB", "STATE", "NODES", "TOOK", ""}, rows);
}

void LiveView::show(const Json& graph) {
  if (isatty(STDOUT_FILENO) == 1)
    redraw(graph);
  else
    print_changes(graph);
}

void LiveView::redraw(const Json& graph) {
  const std::string text = graph_text(graph);
  if (text == drawn_) return;
  drawn_ = text;
  std::string drawing;
  if (lines_drawn_ > 0) drawing = "\x1b[" + std::to_string(lines_drawn_) + "A";  // up to the first line
  lines_drawn_ = 0;
  const std::size_t columns = terminal_columns();
  for (std::size_t start = 0; start < text.size(); ++lines_drawn_) {
    const std::size_t end = text.find('\n', start);
    drawing +=
        cut(std::string_view(text).substr(start, end - start), columns - 1) + "\x1b[K\n";  // clear the rest
    start = end + 1;
  }
  print_text(drawing + "\x1b[J");
}

void LiveView::print_changes(const Json& graph) {
  const auto now = std::chrono::steady_clock::now();
  if (graph["jobs"].size() < jobs_of(graph)) return print_counts(graph, now);
  for (const Json& job : graph["jobs"]) {
    Shown& shown = jobs_[text_of(job, "job")];
    const std::string state = state_of(job);
    const std::string detail = detail_of(job);
    const bool is_new_state = state != shown.state;
    const bool is_due = detail != shown.progress && job["state"] == "running" && now - shown.at >= kLineEvery;
    if (!is_new_state && !is_due) continue;
    shown = {state, detail, now};
    print_text(text_of(job, "job") + ": " + state + (detail.empty() ? "" : "  " + detail) + "\n");
  }
  if (has_ended(graph)) {
    print_text("graph " + std::to_string(graph["graph"].get<std::uint64_t>()) + " " + text_of(graph, "name") +
               ": " + text_of(graph, "state") + "\n");
  }
}

// Of a graph that is too large to name its jobs.
void LiveView::print_counts(const Json& graph, std::chrono::steady_clock::time_point now) {
  const std::string counts = counts_text(graph);
  const bool is_due = now - counts_at_ >= kLineEvery || has_ended(graph);
  if (counts == drawn_ || !is_due) return;
  drawn_ = counts;
  counts_at_ = now;
  print_text("graph " + graph["graph"].dump() + " " + text_of(graph, "name") + ": " + counts + "\n");
}

// All of it, or, where that is too much to look at, its counts and some of what runs.
static Result<Json> look_at(Connection& connection, std::uint64_t id) {
  auto graph = graph_with(connection, id, {.limit = 1, .patiently = true});
  if (!graph || jobs_of(*graph) <= 1) return graph;
  if (jobs_of(*graph) <= kJobsWatchedMax) return graph_with(connection, id, {.patiently = true});
  return graph_with(connection, id, {.limit = kRunningShownMax, .state = "running", .patiently = true});
}

Result<Json> follow_graph(Connection& connection, std::uint64_t graph, bool is_quiet) {
  LiveView view;
  while (true) {
    const auto current = look_at(connection, graph);
    if (!current) return tl::unexpected<Error>(current.error());
    if (!is_quiet) view.show(*current);
    if (has_ended(*current)) return *current;
    connection.pause(kLookEvery);
  }
}

int exit_code_of_graph(const Json& graph) {
  return graph["state"] == "succeeded" ? kDone : kFailed;
}

}  // namespace paddock::cli
