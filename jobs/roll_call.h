// jobs/roll_call.h – which rank keeps the others waiting. Each rank says where it is about once a second; when a rank is held up, it
// asks where all are and names the one that is behind.
// After guarantee G9 of the design: a hang is found and named within the greater of 10 s and five usual steps.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace paddock::jobs {

struct Whereabouts {
  std::uint64_t beat = 0;  // another one each time
  std::int64_t step = 0;
  std::uint64_t operations = 0;  // with the other ranks, begun so far: everybody begins the same ones
  bool is_waiting = false;       // as far as the rank knows, for the others
  std::chrono::milliseconds in_phase{0};
  std::string phase;

  bool operator==(const Whereabouts&) const = default;
};

// As lines of text: what goes from rank to rank. Nothing: the text is none of these.
std::string to_text(const Whereabouts& whereabouts);
std::optional<Whereabouts> whereabouts_from_text(const std::string& text);

// How ranks hear of each other. Threads: one that calls both. Both may throw, and may block for ever where the rank that keeps
// the board is stopped.
class RollCall {
 public:
  virtual ~RollCall() = default;
  virtual void say(const Whereabouts& own) = 0;
  // Of every rank, in their order; nothing: it has said nothing yet.
  virtual std::vector<std::optional<Whereabouts>> ask() = 0;
};

struct Heard {
  std::optional<Whereabouts> last;
  std::chrono::milliseconds silent_for{0};  // since another beat was heard of
};

struct Culprit {
  std::int64_t rank = -1;                   // -1: none of them, all wait for each other
  std::string sentence;                     // "rank 2 has been …"
  std::chrono::milliseconds silent_for{0};  // 0: it gives signs of life
};

// "rank 2 has been at step 7, reading pictures, for 12 s"
std::string sentence_about(std::int64_t rank, const Whereabouts& whereabouts);

// Of a run in which somebody waits too long: those that give no sign of life come before those that have begun the fewest
// operations, and these before those that do not wait. Pure.
Culprit who_hangs(const std::vector<Heard>& ranks, std::chrono::milliseconds silence_max);

}  // namespace paddock::jobs
