// Random bytes, random YAML-like text and mutations of the examples: parse_graph answers or refuses, and what
// it accepts reads back from its canonical form. Seeds are fixed; a failure prints the text that made it.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "base/random.h"
#include "jobs/spec/parse.h"
#include "jobs/spec/references.h"

namespace paddock::spec {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void try_it(const std::string& text) {
  const auto graph = parse_graph(text, "fuzz");
  if (!graph) {
    ASSERT_EQ(graph.error().code, Code::kInvalid);
    ASSERT_FALSE(graph.error().message.empty());
    return;
  }
  const auto again = graph_from_json(Json::parse(to_json(*graph).dump()));
  ASSERT_TRUE(again.has_value()) << again.error().message << "\n" << text;
  ASSERT_EQ(*again, *graph) << text;
  for (const JobSpec& job : graph->jobs) references_of(job);
}

std::string mutated(std::string text, Draws& draws) {
  static const std::vector<std::string> kScraps = {
      "{",  "}", "[", "]",  ": ", "- ", "\n",    "\n  ", "&a ", "*a", "!!str ", "'",  "\"",
      "${", "#", "|", "> ", "? ", "%",  "---\n", "\t",   "~",   "@",  "<<: ",   "\r", "\xef\xbb\xbf"};
  const std::uint64_t times = 1 + draws.below(6);
  for (std::uint64_t i = 0; i < times; ++i) {
    const std::size_t at = draws.below(text.size() + 1);
    switch (draws.below(5)) {
      case 0:
        text.insert(at, kScraps[draws.below(kScraps.size())]);
        break;
      case 1:
        text.erase(at, draws.below(20));
        break;
      case 2:
        if (at < text.size()) text[at] = static_cast<char>(draws.below(256));
        break;
      case 3:
        text.insert(at, text.substr(draws.below(text.size() + 1), draws.below(60)));
        break;
      case 4:
        text.resize(at);
        break;
    }
  }
  return text;
}

TEST(ParseFuzz, RandomBytesNeverHurt) {
  for (std::uint64_t seed = 0; seed < 3'000; ++seed) {
    Draws draws(seed, 0, Purpose::kOrder);
    std::string text(draws.below(300), '\0');
    for (char& byte : text) byte = static_cast<char>(draws.below(seed % 2 == 0 ? 256 : 128));
    try_it(text);
    if (HasFatalFailure()) return;
  }
}

TEST(ParseFuzz, RandomPunctuationNeverHurts) {
  static const std::string kLetters = "{}[]:,-&*!|>?%@'\"#~ \n\t\\ab01${}.";
  for (std::uint64_t seed = 0; seed < 5'000; ++seed) {
    Draws draws(seed, 1, Purpose::kOrder);
    std::string text(draws.below(120), ' ');
    for (char& byte : text) byte = kLetters[draws.below(kLetters.size())];
    try_it(text);
    if (HasFatalFailure()) return;
  }
}

TEST(ParseFuzz, MutatedExamplesNeverHurt) {
  const std::vector<std::string> examples = {read_file(PADDOCK_SOURCE_DIR "/examples/first-light.yaml"),
                                             read_file(PADDOCK_SOURCE_DIR "/examples/command.yaml")};
  for (std::uint64_t seed = 0; seed < 4'000; ++seed) {
    Draws draws(seed, 2, Purpose::kOrder);
    try_it(mutated(examples[seed % examples.size()], draws));
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace paddock::spec
