#include "worker/report.h"

namespace paddock::worker {
namespace {

template <typename... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};

}  // namespace

std::size_t bytes_of(const Finding& finding) {
  constexpr std::size_t kFixed = 64;
  return kFixed +
         std::visit(Overloaded{[](const Started&) { return std::size_t{0}; },
                               [](const Ended& ended) { return ended.reason.size(); },
                               [](const Progress& progress) { return progress.json.size(); },
                               [](const Artifact& artifact) {
                                 return artifact.name.size() + artifact.path.size() + artifact.hash.size();
                               },
                               [](const Checkpoint& saved) { return saved.path.size() + saved.hash.size(); },
                               [](const Failure& failure) { return failure.message.size(); },
                               [](const GpuFault& fault) { return fault.uuid.size() + fault.reason.size(); }},
                    finding);
}

}  // namespace paddock::worker
