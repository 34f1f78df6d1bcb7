// jobs/main.cpp – the program paddock-run: one rank of one job, or a command about a model's weights.
//   paddock-run <kind> --spec FILE.json --dir DIR
//   paddock-run model <command> …                    (docs/model-command.md)
// Everything that goes wrong is caught here, once: the failure is reported and becomes an exit code (docs/rank-protocol.md).
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "base/limits.h"
#include "base/memory.h"
#include "base/result.h"
#include "jobs/curate/curate.h"
#include "jobs/devices.h"
#include "jobs/distill.h"
#include "jobs/evaluate/evaluate.h"
#include "jobs/model/model_command.h"
#include "jobs/pretrain.h"
#include "jobs/process_group.h"
#include "jobs/rank_environment.h"
#include "jobs/report_channel.h"
#include "jobs/spec/recipes.h"
#include "jobs/stop_request.h"
#include "jobs/threads.h"
#include "jobs/training.h"

namespace paddock::jobs {
namespace {

namespace fs = std::filesystem;

constexpr int kDone = 0, kFailed = 1, kWrongOptions = 2;
// Between ranks, per operation, at least. That a peer died is noticed at once by its connection.
constexpr std::chrono::minutes kPeerTimeoutLeast{5};
// Where nobody watches: longer than any disk takes.
constexpr std::chrono::hours kPeerTimeoutUnwatched{24};

struct Arguments {
  std::string kind;
  fs::path spec, dir;
};

Arguments parse_arguments(int count, char** values) {
  Arguments arguments;
  if (count > 1) arguments.kind = values[1];
  for (int i = 2; i + 1 < count; i += 2) {
    const std::string flag = values[i];
    if (flag == "--spec")
      arguments.spec = values[i + 1];
    else if (flag == "--dir")
      arguments.dir = values[i + 1];
    else
      throw std::invalid_argument("unknown option " + flag);
  }
  if (arguments.spec.empty() || arguments.dir.empty() || count % 2 != 0)
    throw std::invalid_argument(
        "usage: paddock-run curate|pretrain|adapt|distill|evaluate --spec FILE.json --dir DIR, or "
        "paddock-run "
        "model "
        "--help");
  return arguments;
}

// The options of a job of that kind, its recipe's below them.
nlohmann::json read_spec(const fs::path& path, const std::string& kind) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) throw std::invalid_argument(path.string() + " cannot be read");
  if (text.view().size() > limits::kSpecBytesMax)
    throw std::invalid_argument(path.string() + " is longer than a spec may be");
  auto json = nlohmann::json::parse(text.view(), nullptr, false);
  if (json.is_discarded()) throw std::invalid_argument(path.string() + " is not JSON");
  auto with = spec::with_recipe(kind, json);
  if (!with) throw std::invalid_argument(path.string() + ": recipe " + with.error().front().message);
  return *std::move(with);
}

template <typename Options>
Options parse_options(const spec::OptionTable<Options>& table, const nlohmann::json& with) {
  auto options = table.parse(with);
  if (options) return *std::move(options);
  std::string text = "the options are wrong:";
  for (const auto& problem : options.error()) text += " " + problem.path + " " + problem.message + ";";
  text.pop_back();
  throw std::invalid_argument(text);
}

// The watchdog of a rank that waits comes first, which says where everybody is: it gives half as long again as the limit.
std::chrono::milliseconds peer_timeout(const spec::RunSpec& run) {
  if (run.hang_seconds == 0) return kPeerTimeoutUnwatched;
  return std::max<std::chrono::milliseconds>(kPeerTimeoutLeast, 2 * std::chrono::seconds(run.hang_seconds));
}

int run_training(TrainingPlan plan, const fs::path& dir, const RankEnvironment& environment,
                 ReportChannel& report) {
  listen_for_stop_request();
  const auto ranks = join_process_group(environment, peer_timeout(plan.run));
  const auto end =
      train(std::move(plan), dir, environment, *ranks, report, {}, roll_call_of(environment, *ranks));
  ranks->barrier();  // no rank leaves while another still talks to it
  return end == TrainingEnd::kFinished ? kDone : kStoppedExitCode;
}

// Curate and evaluate are the work of one rank; more would do the same work twice into the same folder.
template <typename Options>
int run_alone(void (*work)(const Options&, const fs::path&, ReportChannel&), const Options& options,
              const Arguments& arguments, const RankEnvironment& environment, ReportChannel& report) {
  if (environment.world != 1)
    throw std::invalid_argument(arguments.kind + " runs as one rank, not as " +
                                std::to_string(environment.world));
  listen_for_stop_request();
  try {
    work(options, arguments.dir, report);
    return kDone;
  } catch (const StoppedOnRequest&) {
    return kStoppedExitCode;
  }
}

int run_kind(const Arguments& arguments, const RankEnvironment& environment, ReportChannel& report) {
  const auto with = read_spec(arguments.spec, arguments.kind);
  if (arguments.kind == "pretrain")
    return run_training(pretrain_plan(parse_options(spec::pretrain_table(), with)), arguments.dir,
                        environment, report);
  if (arguments.kind == "adapt")
    return run_training(adapt_plan(parse_options(spec::adapt_table(), with)), arguments.dir, environment,
                        report);
  if (arguments.kind == "distill")
    return run_training(distill_plan(parse_options(spec::distill_table(), with)), arguments.dir, environment,
                        report);
  if (arguments.kind == "curate")
    return run_alone(curate::run_curate, parse_options(spec::curate_table(), with), arguments, environment,
                     report);
  if (arguments.kind == "evaluate")
    return run_alone(evaluate::run_evaluate, parse_options(spec::evaluate_table(), with), arguments,
                     environment, report);
  throw std::invalid_argument("unknown kind '" + arguments.kind +
                              "', must be curate, pretrain, adapt, distill or evaluate");
}

int run(int count, char** values) {
  if (count > 1 && std::string(values[1]) == "model") {  // no rank, no job: nothing to report to
    keep_freed_memory();
    fix_threads(threads_of_this_rank());
    return run_model_command(std::vector<std::string>(values + 2, values + count), std::cout, std::cerr);
  }
  ReportChannel report = ReportChannel::from_environment();
  try {
    const auto environment = RankEnvironment::read();
    ReportChannel own = ReportChannel::from_environment(environment.rank != 0);
    keep_freed_memory();
    fix_threads(threads_of_this_rank());
    return run_kind(parse_arguments(count, values), environment, own);
  } catch (const std::invalid_argument& error) {
    std::cerr << "paddock-run: " << error.what() << '\n';
    report.failure("invalid", error.what());
    return kWrongOptions;
  } catch (const std::exception& error) {
    std::cerr << "paddock-run: " << error.what() << '\n';
    report.failure("unavailable", error.what());
    return kFailed;
  }
}

}  // namespace
}  // namespace paddock::jobs

int main(int count, char** values) {
  const int code = paddock::jobs::run(count, values);
  std::cout.flush();
  std::cerr.flush();
  // Everything that matters is durable. LibTorch's and Gloo's statics only cost time, and may wait for a peer that is gone.
  std::_Exit(code);
}
