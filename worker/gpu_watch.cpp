#include "worker/gpu_watch.h"

#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <set>
#include <vector>

#include "worker/nvml.h"

namespace paddock::worker {
namespace {

constexpr std::uint32_t kRoundMs = 1'000;

template <typename... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};

// Cuts the next word off.
std::string_view next_word(std::string_view& text) {
  const std::size_t end = text.find(' ');
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return word;
}

std::optional<std::uint64_t> to_number(std::string_view word) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return number;
}

// False: nobody listens any more.
bool say(const GpuNews& news) {
  const std::string line = to_line(news);
  return write(STDOUT_FILENO, line.data(), line.size()) == static_cast<ssize_t>(line.size());
}

GpuNews news_of(const Nvml::Happened& happened, const std::vector<Gpu>& gpus) {
  const std::string& uuid = gpus[happened.gpu].uuid;
  if (happened.kind == Nvml::Happened::Kind::kXid) return GpuXid{uuid, happened.xid};
  return GpuMemoryError{uuid};
}

int watch(Nvml& nvml, const std::vector<Gpu>& gpus) {
  const auto watched = nvml.watch();
  if (!watched) {
    say(GpusFailed{watched.error().message});
    return 1;
  }
  std::set<std::uint32_t> lost;
  while (true) {
    if (*watched > 0) {
      const auto happened = nvml.wait(kRoundMs);
      if (happened && *happened) {
        if (!say(news_of(**happened, gpus))) return 0;
        continue;  // all that waits, before the next sign of life
      }
      // A device that has fallen off the bus fails every wait at once.
      if (!happened) poll(nullptr, 0, static_cast<int>(kRoundMs));
    } else {
      poll(nullptr, 0, static_cast<int>(kRoundMs));
    }
    for (std::uint32_t index = 0; index < gpus.size(); ++index) {
      const auto answered = nvml.probe(index);
      if (!answered && lost.insert(index).second && !say(GpuLost{gpus[index].uuid, answered.error().message}))
        return 0;
    }
    if (!say(GpusAlive{})) return 0;
  }
}

}  // namespace

std::optional<GpuNews> parse_gpu_line(std::string_view line) {
  const std::string_view kind = next_word(line);
  if (kind == "ready") return GpusReady{};
  if (kind == "alive") return GpusAlive{};
  if (kind == "failed") return GpusFailed{std::string(line)};
  const std::string uuid(next_word(line));
  if (uuid.empty()) return std::nullopt;
  if (kind == "memory") return GpuMemoryError{uuid};
  if (kind == "lost") return GpuLost{uuid, std::string(line)};
  if (kind != "gpu" && kind != "xid") return std::nullopt;
  const auto number = to_number(next_word(line));
  if (!number) return std::nullopt;
  if (kind == "xid") return GpuXid{uuid, *number};
  return GpuListed{{uuid, std::string(line), *number}};
}

std::string to_line(const GpuNews& news) {
  return std::visit(
             Overloaded{[](const GpuListed& listed) {
                          return "gpu " + listed.gpu.uuid + " " + std::to_string(listed.gpu.memory_bytes) +
                                 " " + listed.gpu.model;
                        },
                        [](const GpusReady&) { return std::string("ready"); },
                        [](const GpuXid& xid) { return "xid " + xid.uuid + " " + std::to_string(xid.xid); },
                        [](const GpuMemoryError& error) { return "memory " + error.uuid; },
                        [](const GpuLost& lost) { return "lost " + lost.uuid + " " + lost.reason; },
                        [](const GpusAlive&) { return std::string("alive"); },
                        [](const GpusFailed& failed) { return "failed " + failed.reason; }},
             news) +
         "\n";
}

int gpu_watch_main() {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::signal(SIGPIPE, SIG_IGN);
  auto nvml = Nvml::open();
  if (!nvml) {
    say(GpusFailed{nvml.error().message});
    return 1;
  }
  if (!*nvml) {  // no driver: no GPU, and nothing to watch
    say(GpusReady{});
    return 0;
  }
  const auto gpus = (*nvml)->list();
  if (!gpus) {
    say(GpusFailed{gpus.error().message});
    return 1;
  }
  for (const Gpu& gpu : *gpus) {
    if (!say(GpuListed{gpu})) return 0;
  }
  if (!say(GpusReady{})) return 0;
  return gpus->empty() ? 0 : watch(**nvml, *gpus);
}

}  // namespace paddock::worker
