// simulation/trace.h – the history of one seed: every line goes into a hash, by which two runs of a seed are compared, and
// is printed when somebody asks. What must never happen is a violation; what must happen sometimes, over many seeds, is a
// probe. Threads: one owner.
#pragma once

#include <cstdint>
#include <ostream>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "simulation/timeline.h"

namespace paddock::simulation {

class Trace {
 public:
  // `to`: where lines are printed; nullptr: nowhere. Nothing is owned.
  Trace(const Timeline& time, std::ostream* to) : time_(time), to_(to) {}

  void note(std::string_view line) {
    const std::string at = std::to_string(time_.now().ms) + " ";
    add(at);
    add(line);
    ++lines_;
    if (to_ != nullptr) *to_ << at << line << '\n';
  }
  void violated(const std::string& what) {
    note("VIOLATED " + what);
    violations_.push_back("at " + std::to_string(time_.now().ms) + " ms: " + what);
  }
  void probe(std::string_view name) { probes_.emplace(name); }

  std::uint64_t hash() const { return hash_; }
  std::uint64_t lines() const { return lines_; }
  const std::vector<std::string>& violations() const { return violations_; }
  const std::set<std::string>& probes() const { return probes_; }

 private:
  // FNV-1a, 64 bits.
  void add(std::string_view text) {
    for (const char letter : text) hash_ = (hash_ ^ static_cast<unsigned char>(letter)) * 0x100000001b3u;
  }

  const Timeline& time_;
  std::ostream* const to_;
  std::uint64_t hash_ = 0xcbf29ce484222325u;
  std::uint64_t lines_ = 0;
  std::vector<std::string> violations_;
  std::set<std::string> probes_;
};

}  // namespace paddock::simulation
