#include "jobs/spec/nearest.h"

#include <algorithm>

namespace paddock::spec {
namespace {

constexpr std::size_t kWordBytesMax = 64;  // longer words are not slips, and the table below stays small
constexpr std::size_t kShownMax = 20;

}  // namespace

std::size_t edit_distance(std::string_view from, std::string_view to) {
  std::vector<std::vector<std::size_t>> table(from.size() + 1, std::vector<std::size_t>(to.size() + 1));
  for (std::size_t i = 0; i <= from.size(); ++i) table[i][0] = i;
  for (std::size_t j = 0; j <= to.size(); ++j) table[0][j] = j;
  for (std::size_t i = 1; i <= from.size(); ++i) {
    for (std::size_t j = 1; j <= to.size(); ++j) {
      const std::size_t differs = from[i - 1] == to[j - 1] ? 0 : 1;
      table[i][j] = std::min({table[i - 1][j] + 1, table[i][j - 1] + 1, table[i - 1][j - 1] + differs});
      if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1]) {
        table[i][j] = std::min(table[i][j], table[i - 2][j - 2] + 1);
      }
    }
  }
  return table[from.size()][to.size()];
}

std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& known) {
  if (word.empty() || word.size() > kWordBytesMax) return std::nullopt;
  std::optional<std::string> best;
  std::size_t best_distance = 0;
  for (const std::string& candidate : known) {
    if (candidate.empty() || candidate.size() > kWordBytesMax) continue;
    const std::size_t distance = edit_distance(word, candidate);
    const std::size_t shorter = std::min(word.size(), candidate.size());
    const bool is_prefix = shorter >= 3 && word.substr(0, shorter) == candidate.substr(0, shorter);
    const bool is_slip = distance <= std::max<std::size_t>(1, candidate.size() / 3) && distance < shorter;
    if ((is_slip || is_prefix) && (!best || distance < best_distance)) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string enumerate(const std::vector<std::string>& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size() && i < kShownMax; ++i) {
    if (i > 0) text += ", ";
    text += words[i];
  }
  if (words.size() > kShownMax) text += ", …";
  return text;
}

std::string unknown_key_message(std::string_view word, const std::vector<std::string>& known) {
  std::string text = "is not known";
  if (const auto meant = nearest(word, known))
    text += "; did you mean `" + *meant + "`?";
  else
    text += ";";
  return text + " Allowed: " + (known.empty() ? "nothing" : enumerate(known));
}

}  // namespace paddock::spec
