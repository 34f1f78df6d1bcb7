// jobs/spec/nearest.h – what somebody probably meant who wrote a word that is not known.
// Threads: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace paddock::spec {

// Insertions, deletions, replacements and swaps of neighbours that lead from one word to the other.
std::size_t edit_distance(std::string_view from, std::string_view to);

// The known word that is nearest, if it is near enough to be a slip: at most a third of its letters differ,
// or one of the two words begins with the other.
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& known);

// "a, b, c" – and of a long list only the first twenty.
std::string enumerate(const std::vector<std::string>& words);

// "is not known; did you mean `steps`? Allowed: data, steps, …"
std::string unknown_key_message(std::string_view word, const std::vector<std::string>& known);

}  // namespace paddock::spec
