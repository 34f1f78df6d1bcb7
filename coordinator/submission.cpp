#include "coordinator/submission.h"

#include <cmath>
#include <utility>

namespace paddock::coordinator {

scheduler::Request to_request(const spec::Resources& resources) {
  const std::int64_t ranks_on_a_node = resources.ranks_on_a_node();
  scheduler::Request request;
  request.nodes = static_cast<std::uint32_t>(resources.nodes);
  request.ranks_per_node = static_cast<std::uint32_t>(ranks_on_a_node);
  request.gpus_per_rank =
      static_cast<std::uint32_t>(resources.gpus / ranks_on_a_node);  // divides: the spec's own check
  request.cpus_per_rank = static_cast<std::uint32_t>(resources.cpus);
  request.memory_bytes_per_rank = resources.memory.bytes;
  request.nodes_min = static_cast<std::uint32_t>(resources.nodes_min.value_or(0));
  request.gpu_model = resources.gpu_kind;
  request.gpu_memory_bytes = resources.gpu_memory.bytes;
  request.labels = resources.labels;
  request.avoid = resources.avoid;
  request.apart = resources.apart;
  return request;
}

namespace {

// Without what has its default: a job of a hundred thousand is held in memory until its graph has ended.
std::string spec_text(const spec::JobSpec& job) {
  return spec::changed_json(job).dump(-1, ' ', false, spec::Json::error_handler_t::replace);
}

}  // namespace

Result<scheduler::GraphSubmitted> to_submission(const spec::GraphSpec& graph, std::string token) {
  scheduler::GraphSubmitted submitted{graph.name, graph.priority, std::move(token), {}, graph.tenant};
  submitted.jobs.reserve(graph.jobs.size());
  for (const spec::JobSpec& job : graph.jobs) {
    scheduler::JobRequest request;
    request.name = JobName{job.name};
    request.kind = job.kind;
    for (const std::string& need : job.needs) request.needs.emplace_back(need);
    request.resources = to_request(job.resources);
    request.retry = scheduler::RetryRule{static_cast<std::int32_t>(job.retry.limit),
                                         job.retry.backoff,
                                         std::llround(job.retry.factor * 1'000),
                                         {job.retry.not_on.begin(), job.retry.not_on.end()}};
    if (!submitted.jobs.empty()) {
      request.resources.share_with(submitted.jobs.back().resources);
      request.retry.share_with(submitted.jobs.back().retry);
    }
    request.is_preemptible = job.preemptible;
    request.grace = job.grace;
    request.time_limit = job.time_limit.value_or(Millis(0));
    for (const std::string& need : job.needs) {
      const std::string& on = job.on.of_need(need);
      if (on != "success")
        request.on[JobName{need}] = on == "failure" ? scheduler::On::kFailure : scheduler::On::kAlways;
    }
    request.spec = spec_text(job);
    submitted.jobs.push_back(std::move(request));
  }
  TRY(scheduler::check_graph(submitted.name, submitted.jobs), "accepting the submission");
  return submitted;
}

}  // namespace paddock::coordinator
