#include "simulation/workload/swf.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <optional>
#include <string_view>
#include <vector>

namespace paddock::simulation {
namespace {

constexpr std::size_t kFields = 18;
constexpr std::array<std::string_view, kFields> kNames{
    "job number",  "submit time",      "wait time",  "run time",     "processors given", "cpu time",
    "memory used", "processors asked", "time asked", "memory asked", "status",           "user",
    "group",       "executable",       "queue",      "partition",    "preceding job",    "think time"};
constexpr double kMost = 1e12;

enum Field : std::size_t {
  kNumber = 0,
  kSubmit = 1,
  kRun = 3,
  kGiven = 4,
  kAsked = 7,
  kTime = 8,
  kStatus = 10,
  kUser = 11
};
enum Status : std::int64_t { kFailed = 0, kPieceFirst = 2, kPieceLast = 4, kCancelled = 5 };

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    const auto from = line.find_first_not_of(" \t\r");
    if (from == std::string_view::npos) return words;
    line.remove_prefix(from);
    const auto end = std::min(line.find_first_of(" \t\r"), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

std::optional<double> number_of(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(std::abs(value) <= kMost))
    return std::nullopt;
  return value;
}

// "; MaxProcs: 1024"
void read_comment(std::string_view line, Workload& workload) {
  const auto value_of = [&](std::string_view key) -> std::optional<std::int64_t> {
    const auto words = words_of(line.substr(std::min(line.find_first_not_of("; \t"), line.size())));
    if (words.size() < 2 || words[0] != key) return std::nullopt;
    const auto value = number_of(words[1]);
    if (!value || *value < 1) return std::nullopt;
    return static_cast<std::int64_t>(*value);
  };
  if (const auto nodes = value_of("MaxNodes:")) workload.max_nodes = *nodes;
  if (const auto processors = value_of("MaxProcs:")) workload.max_processors = *processors;
}

using Values = std::array<std::int64_t, kFields>;

Result<Values> values_of(std::string_view line, const std::string& where) {
  const auto words = words_of(line);
  if (words.size() != kFields)
    return fail(Code::kInvalid, where + "has " + std::to_string(words.size()) +
                                    " fields, but a job of the Standard Workload Format has 18");
  Values values{};
  for (std::size_t i = 0; i < kFields; ++i) {
    const auto value = number_of(words[i]);
    if (!value)
      return fail(Code::kInvalid, where + "field " + std::to_string(i + 1) + " (" + std::string(kNames[i]) +
                                      ") is \"" + std::string(words[i].substr(0, 40)) +
                                      "\", which is not a number; write -1 for what is not known");
    values[i] = std::llround(*value);
  }
  return values;
}

Result<void> count(std::uint64_t& skipped) {
  ++skipped;
  return {};
}

Result<void> add(const Values& values, const std::string& where, Workload& workload) {
  const std::int64_t status = values[kStatus];
  if (status < -1 || status > kCancelled)
    return fail(Code::kInvalid, where + "status is " + std::to_string(status) + ", not one of -1 to 5");
  if (status >= kPieceFirst && status <= kPieceLast) return count(workload.skipped.partial);
  if (status == kCancelled && values[kRun] <= 0) return count(workload.skipped.cancelled);
  if (values[kRun] < 0) return count(workload.skipped.without_run);
  const std::int64_t processors = values[kAsked] > 0 ? values[kAsked] : values[kGiven];
  if (processors <= 0) return count(workload.skipped.without_size);
  if (values[kSubmit] < 0)
    return fail(Code::kInvalid, where + "submit time is " + std::to_string(values[kSubmit]) +
                                    ", but a job must come at 0 or later");
  TraceJob job;
  job.number = values[kNumber];
  job.submit_s = values[kSubmit];
  job.run_s = std::max<std::int64_t>(1, values[kRun]);
  job.ran_over = values[kTime] > 0 && values[kTime] < job.run_s;
  job.estimate_s = std::max(values[kTime], job.run_s);
  job.processors = processors;
  job.user = values[kUser];
  job.has_failed = status == kFailed;
  workload.failed += job.has_failed ? 1 : 0;
  workload.longer_than_asked += job.ran_over ? 1 : 0;
  workload.jobs.push_back(job);
  return {};
}

}  // namespace

Result<Workload> read_swf(std::istream& in, const std::string& name) {
  Workload workload;
  std::string line;
  for (std::uint64_t number = 1; std::getline(in, line); ++number) {
    const auto from = line.find_first_not_of(" \t\r");
    if (from == std::string::npos) continue;
    if (line[from] == ';') {
      read_comment(line, workload);
      continue;
    }
    const std::string where = name + ":" + std::to_string(number) + ": ";
    auto values = values_of(line, where);
    if (!values) return tl::unexpected(values.error());
    if (auto added = add(*values, where, workload); !added) return tl::unexpected(added.error());
  }
  std::ranges::stable_sort(workload.jobs, {}, &TraceJob::submit_s);
  return workload;
}

Result<Workload> read_swf_file(const std::filesystem::path& path) {
  std::ifstream in(path);
  if (!in)
    return fail(Code::kNotFound, path.string() + " cannot be opened: is there a file, and may you read it?");
  auto workload = read_swf(in, path.string());
  if (workload && in.bad()) return fail(Code::kUnavailable, path.string() + " cannot be read to its end");
  if (workload && workload->jobs.empty())
    return fail(Code::kInvalid, path.string() + " has no job that can be replayed");
  return workload;
}

void write_swf(std::ostream& out, const Workload& workload, const Machines& machines,
               const std::string& about) {
  out << "; Version: 2.2\n; MaxNodes: " << machines.nodes
      << "\n; MaxProcs: " << machines.nodes * machines.cores << "\n; MaxJobs: " << workload.jobs.size()
      << "\n; Note: " << about << '\n';
  for (const TraceJob& job : workload.jobs)
    out << job.number << ' ' << job.submit_s << " -1 " << job.run_s << ' ' << job.processors << " -1 -1 "
        << job.processors << ' ' << job.estimate_s << " -1 1 " << job.user << " -1 -1 -1 -1 -1 -1\n";
}

Result<void> write_swf_file(const std::filesystem::path& path, const Workload& workload,
                            const Machines& machines, const std::string& about) {
  std::ofstream out(path);
  write_swf(out, workload, machines, about);
  out.flush();
  if (!out)
    return fail(Code::kUnavailable,
                path.string() + " cannot be written: is its folder there, and has the disk room?");
  return {};
}

}  // namespace paddock::simulation
