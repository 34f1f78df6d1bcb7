// What the orchestrator's benchmark asks of a running coordinator, over its own protocol, so that no program has
// to start for a question. Each measurement prints one JSON line. See bench/orchestrator/run.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wire/socket.h"

namespace paddock {
namespace {

using Clock = std::chrono::steady_clock;

constexpr Millis kPatience = std::chrono::minutes(5);
constexpr Millis kPollEvery{5};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "orchestrator_client: %s\n", why.c_str());
  std::exit(1);
}

class Asker {
 public:
  explicit Asker(const std::string& endpoint) {
    auto opened = wire::Client::open(endpoint);
    if (!opened) give_up(opened.error().message);
    client_.emplace(*std::move(opened));
  }

  wire::Envelope ask(const std::function<void(wire::Message::Builder)>& fill) {
    capnp::MallocMessageBuilder builder;
    fill(wire::begin(builder, ++request_));
    auto answer = client_->ask(builder, kPatience);
    if (!answer) give_up(answer.error().message);
    return *std::move(answer);
  }

  std::uint64_t submit(const std::string& spec) {
    const std::string token = std::to_string(getpid()) + "-" + std::to_string(request_) + "-" +
                              std::to_string(Clock::now().time_since_epoch().count());
    const auto answer = ask([&](wire::Message::Builder message) {
      auto submission = message.initSubmit();
      submission.setSpec(spec);
      submission.setFile("benchmark");
      submission.setToken(token);
    });
    return answer.message().getSubmitted().getGraph();
  }

  // "active", "succeeded", …
  std::string state_of(std::uint64_t graph) {
    const auto answer = ask([](wire::Message::Builder message) { message.initStatusRequest().setGraph(0); });
    for (const auto each : answer.message().getStatus().getGraphs()) {
      if (each.getId() == graph) return each.getState().cStr();
    }
    give_up("graph " + std::to_string(graph) + " is not known");
  }

  void wait_for(std::uint64_t graph) {
    while (true) {
      const std::string state = state_of(graph);
      if (state == "succeeded") return;
      if (state != "active") give_up("graph " + std::to_string(graph) + " " + state);
      if (const auto woken = client_->wait(kPollEvery); !woken) give_up(woken.error().message);
    }
  }

 private:
  std::optional<wire::Client> client_;
  std::uint64_t request_ = 0;
};

std::string graph_of(const std::string& name, int jobs, bool is_chain) {
  std::string text = "{\"graph\":\"" + name + "\",\"jobs\":{";
  for (int i = 0; i < jobs; ++i) {
    text += (i == 0 ? "\"j" : ",\"j") + std::to_string(i) + "\":{\"kind\":\"command\",\"command\":[\"true\"]";
    if (is_chain && i > 0) text += ",\"needs\":[\"j" + std::to_string(i - 1) + "\"]";
    text += "}";
  }
  return text + "}}";
}

// From just before the submission to the last job seen done.
void measure_graph(Asker& asker, const std::string& what, int jobs) {
  const std::string spec = graph_of(what, jobs, what == "chain");
  const auto start = Clock::now();
  const std::uint64_t graph = asker.submit(spec);
  const double submit_s = seconds_since(start);
  asker.wait_for(graph);
  const double all_s = seconds_since(start);
  std::printf("{\"what\":\"%s\",\"jobs\":%d,\"submit_s\":%.4f,\"makespan_s\":%.4f,\"jobs_per_s\":%.1f}\n",
              what.c_str(), jobs, submit_s, all_s, jobs / all_s);
}

// Only until it is accepted: `matrix` in one line, or each job written out. Then it is cancelled.
void measure_submission(Asker& asker, const std::string& what, int jobs) {
  const std::string one =
      R"({"graph":"submit","jobs":{"j":{"kind":"command","command":["true","${matrix.i}"],)"
      R"("matrix":{"i":{"from":1,"to":)" +
      std::to_string(jobs) + "}}}}}";
  const std::string spec = what == "submit-matrix" ? one : graph_of("submit", jobs, false);
  const auto start = Clock::now();
  const std::uint64_t graph = asker.submit(spec);
  const double submit_s = seconds_since(start);
  asker.ask([&](wire::Message::Builder message) { message.initCancel().setGraph(graph); });
  std::printf("{\"what\":\"%s\",\"jobs\":%d,\"submit_s\":%.3f}\n", what.c_str(), jobs, submit_s);
}

// From just before the submission of one job to its body's first act, which is to write into a FIFO.
void measure_latency(Asker& asker, int rounds, const std::string& fifo) {
  if (mkfifo(fifo.c_str(), 0600) != 0) give_up("making " + fifo);
  const int end = open(fifo.c_str(), O_RDWR | O_CLOEXEC);
  const std::string spec =
      "{\"graph\":\"latency\",\"jobs\":{\"j\":{\"kind\":\"command\",\"command\":[\"sh\",\"-c\",\"echo >" +
      fifo + "\"]}}}";
  std::vector<double> ms;
  for (int i = 0; i < rounds; ++i) {
    const auto start = Clock::now();
    const std::uint64_t graph = asker.submit(spec);
    pollfd mark{end, POLLIN, 0};
    if (poll(&mark, 1, static_cast<int>(kPatience.count())) != 1) give_up("the job did not start");
    char newline = 0;
    if (read(end, &newline, 1) != 1) give_up("reading " + fifo);
    ms.push_back(1e3 * seconds_since(start));
    asker.wait_for(graph);
  }
  close(end);
  unlink(fifo.c_str());
  std::ranges::sort(ms);
  const auto quantile = [&](double q) {
    return ms[static_cast<std::size_t>(q * static_cast<double>(ms.size() - 1))];
  };
  std::printf("{\"what\":\"latency\",\"jobs\":%d,\"p50_ms\":%.3f,\"p90_ms\":%.3f,\"p99_ms\":%.3f}\n", rounds,
              quantile(.5), quantile(.9), quantile(.99));
}

}  // namespace
}  // namespace paddock

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  const bool is_latency = what == "latency" && argc == 5;
  const bool is_submission = what == "submit-matrix" || what == "submit-list";
  if (!is_latency && !((what == "jobs" || what == "chain" || is_submission) && argc == 4)) {
    std::fputs(
        "orchestrator_client jobs|chain|submit-matrix|submit-list ENDPOINT COUNT\norchestrator_client "
        "latency ENDPOINT COUNT FIFO\n",
        stderr);
    return 2;
  }
  paddock::Asker asker(argv[2]);
  const int count = std::atoi(argv[3]);
  if (is_latency) {
    paddock::measure_latency(asker, count, argv[4]);
  } else if (is_submission) {
    paddock::measure_submission(asker, std::string(what), count);
  } else {
    paddock::measure_graph(asker, std::string(what), count);
  }
  return 0;
}
