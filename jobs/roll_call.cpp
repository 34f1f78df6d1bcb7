#include "jobs/roll_call.h"

#include <algorithm>
#include <limits>
#include <sstream>

namespace paddock::jobs {
namespace {

std::string seconds_text(std::chrono::milliseconds time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time).count()) + " s";
}

std::string where(const Whereabouts& rank) {
  return "step " + std::to_string(rank.step) + ", " + rank.phase;
}

}  // namespace

std::string to_text(const Whereabouts& own) {
  std::ostringstream text;
  text << own.beat << ' ' << own.step << ' ' << own.operations << ' ' << own.is_waiting << ' '
       << own.in_phase.count() << ' ' << own.phase;
  return text.str();
}

std::optional<Whereabouts> whereabouts_from_text(const std::string& text) {
  std::istringstream in(text);
  Whereabouts read;
  std::int64_t milliseconds = 0;
  if (!(in >> read.beat >> read.step >> read.operations >> read.is_waiting >> milliseconds).ignore())
    return std::nullopt;
  read.in_phase = std::chrono::milliseconds(milliseconds);
  std::getline(in, read.phase);
  return read;
}

std::string sentence_about(std::int64_t rank, const Whereabouts& whereabouts) {
  return "rank " + std::to_string(rank) + " has been at " + where(whereabouts) + ", for " +
         seconds_text(whereabouts.in_phase);
}

Culprit who_hangs(const std::vector<Heard>& ranks, std::chrono::milliseconds silence_max) {
  std::vector<std::int64_t> silent, behind, working;
  std::uint64_t most = 0, least = std::numeric_limits<std::uint64_t>::max();
  for (const Heard& heard : ranks) {
    if (!heard.last) continue;
    most = std::max(most, heard.last->operations);
    least = std::min(least, heard.last->operations);
  }
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    const auto rank = static_cast<std::int64_t>(i);
    const Heard& heard = ranks[i];
    if (!heard.last || heard.silent_for > silence_max)
      silent.push_back(rank);
    else if (heard.last->operations == least && least < most)
      behind.push_back(rank);
    else if (!heard.last->is_waiting)
      working.push_back(rank);
  }
  const auto& named = !silent.empty() ? silent : !behind.empty() ? behind : working;
  if (named.empty()) return {-1, "all ranks wait for each other: is the network between them broken?", {}};
  const auto longest = std::ranges::max(named, {}, [&](std::int64_t rank) {
    const Heard& heard = ranks[static_cast<std::size_t>(rank)];
    return !silent.empty() ? heard.silent_for : heard.last->in_phase;
  });
  const Heard& heard = ranks[static_cast<std::size_t>(longest)];
  const std::string name = "rank " + std::to_string(longest);
  Culprit culprit{longest, "", silent.empty() ? std::chrono::milliseconds(0) : heard.silent_for};
  if (!heard.last)
    culprit.sentence = name + " has never said where it is";
  else if (!silent.empty())
    culprit.sentence = name + " has given no sign of life for " + seconds_text(heard.silent_for) +
                       " (stopped, or cut off); it was at " + where(*heard.last);
  else
    culprit.sentence = sentence_about(longest, *heard.last);
  if (named.size() > 1) culprit.sentence += "; " + std::to_string(named.size() - 1) + " more like it";
  return culprit;
}

}  // namespace paddock::jobs
