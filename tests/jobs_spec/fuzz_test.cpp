// Random bytes, random YAML-like text and mutations of the examples: parse_graph answers or refuses, and what
// it accepts reads back from its canonical form. Seeds are fixed; a failure prints the text that made it.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "base/random.h"
#include "jobs/spec/document.h"
#include "jobs/spec/parse.h"
#include "jobs/spec/references.h"
#include "jobs/spec/units.h"
#include "tests/fuzz.h"

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
  for (Rounds rounds(3'000); rounds.next();) {
    const std::uint64_t seed = rounds.number();
    Draws draws(seed, 0, Purpose::kOrder);
    std::string text(draws.below(300), '\0');
    for (char& byte : text) byte = static_cast<char>(draws.below(seed % 2 == 0 ? 256 : 128));
    try_it(text);
  }
}

TEST(ParseFuzz, RandomPunctuationNeverHurts) {
  static const std::string kLetters = "{}[]:,-&*!|>?%@'\"#~ \n\t\\ab01${}.";
  for (Rounds rounds(5'000); rounds.next();) {
    const std::uint64_t seed = rounds.number();
    Draws draws(seed, 1, Purpose::kOrder);
    std::string text(draws.below(120), ' ');
    for (char& byte : text) byte = kLetters[draws.below(kLetters.size())];
    try_it(text);
  }
}

TEST(ParseFuzz, MutatedExamplesNeverHurt) {
  const std::vector<std::string> examples = {read_file(PADDOCK_SOURCE_DIR "/examples/first-light.yaml"),
                                             read_file(PADDOCK_SOURCE_DIR "/examples/command.yaml")};
  for (Rounds rounds(4'000); rounds.next();) {
    const std::uint64_t seed = rounds.number();
    Draws draws(seed, 2, Purpose::kOrder);
    try_it(mutated(examples[seed % examples.size()], draws));
  }
}

// Read as JSON and as the YAML that it also is.
TEST(ParseFuzz, JsonGivesTheSameDocumentEitherWay) {
  const std::string good =
      R"({"graph": "g", "tenant": "é\n", "jobs": {"b": {"kind": "command", "command": ["a", "1", ""], "with": {"x":
       [1, -2, 3.5, 1e3, true, null, {}], "y": {}}}, "a": {"needs": ["b"], "grace": "30s"}}, "priority": 7})";
  ASSERT_TRUE(read_json_document(good));
  std::uint64_t compared = 0;
  for (Rounds rounds(20'000); rounds.next();) {
    Draws draws = rounds.draws();
    const std::string text = rounds.number() == 0 ? good : edited(good, draws, json_scraps());
    if (text.find('\r') != std::string::npos)
      continue;  // space in JSON; yaml-cpp takes it for a part of a text
    auto fast = read_json_document(text);
    auto slow = read_document(text, "fuzz");
    if (!fast || !slow) continue;
    ++compared;
    ASSERT_EQ(fast->value, slow->value) << text;
    ASSERT_EQ(fast->order.at(""), slow->order.at("")) << text;
    ASSERT_EQ(fast->order["jobs"], slow->order["jobs"]) << text;
  }
  EXPECT_GT(compared, 500u);
}

TEST(ParseFuzz, DurationsAndSizesAreExactOrRefused) {
  std::uint64_t accepted = 0;
  for (Rounds rounds(100'000); rounds.next();) {
    Draws draws = rounds.draws();
    const std::string good[] = {"30s",   "5m",     "250ms", "12h", "999d",
                                "16GiB", "512MiB", "1TiB",  "7B",  "64KiB"};
    const std::string text = edited(good[draws.below(10)], draws,
                                    {"0", "9", "-", "+", " ", ".", "e9", "ms", "GiB", "99999999999"});
    if (const auto duration = parse_duration(text)) {
      ++accepted;
      ASSERT_GE(*duration, Millis(0)) << text;
      ASSERT_EQ(parse_duration(format_duration(*duration)), duration) << text;
    }
    if (const auto size = parse_size(text)) {
      ++accepted;
      ASSERT_EQ(parse_size(format_size(*size)), size) << text;
    }
  }
  EXPECT_GT(accepted, 5'000u);
}

}  // namespace
}  // namespace paddock::spec
