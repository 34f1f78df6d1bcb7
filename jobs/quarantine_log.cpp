#include "jobs/quarantine_log.h"

#include <iostream>

namespace paddock::jobs {

void QuarantineLog::add(const std::string& split, const data::Quarantined& picture) {
  said_.with([&](auto& said) {
    if (!said.emplace(split, picture.index).second) return;
    std::cerr << split + " picture " + picture.key + " was put aside: " + picture.reason + "; sample " +
                     std::to_string(picture.replacement) + " stands in\n";
  });
}

std::int64_t QuarantineLog::count() const {
  return said_.with([](const auto& said) { return static_cast<std::int64_t>(said.size()); });
}

}  // namespace paddock::jobs
