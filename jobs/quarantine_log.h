// jobs/quarantine_log.h – says once, on stderr, which picture was put aside, why, and what stood in for it: the
// moment it is, so that a run that is stopped or fails has said it too. Grows with the number of bad pictures.
// Threads: any.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>

#include "base/guarded.h"
#include "data/loader.h"

namespace paddock::jobs {

class QuarantineLog {
 public:
  // One line, unless this picture of the split was said before: loaders come and go.
  void add(const std::string& split, const data::Quarantined& picture);
  // Pictures so far, each once.
  std::int64_t count() const;

 private:
  mutable Guarded<std::set<std::pair<std::string, std::uint64_t>>> said_;
};

}  // namespace paddock::jobs
