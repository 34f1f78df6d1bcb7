// The real program, for what it refuses by itself: wrong usage, wrong graphs, no coordinator. Needs no
// network.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>

namespace paddock::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

struct Outcome {
  int exit_code = -1;
  std::string text;  // what it printed on both outputs
};

class Usage : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("paddock-usage-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  Outcome run(const std::string& arguments) {
    const std::string command =
        "cd '" + folder_.string() + "' && '" PADDOCK_BIN_DIR "/paddock' " + arguments + " 2>&1";
    FILE* pipe = popen(command.c_str(), "r");
    Outcome outcome;
    std::array<char, 4096> bytes{};
    for (std::size_t n = 0; (n = fread(bytes.data(), 1, bytes.size(), pipe)) > 0;)
      outcome.text.append(bytes.data(), n);
    const int status = pclose(pipe);
    outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return outcome;
  }
  std::set<std::string> commands(const std::string& above);
  void write(const std::string& name, const std::string& text) { std::ofstream(folder_ / name) << text; }

  std::filesystem::path folder_;
};

// Every command there is, with arguments that are right. A new one has to be put into one of the two lists.
const std::map<std::string, std::string> kAsking{
    // that speak to a coordinator
    {"artifacts", "g"},       {"cancel", "g"},          {"checkpoints", "g"},
    {"drain", "a"},           {"logs", "g a"},          {"nodes", ""},
    {"plan", "g.yaml"},       {"reservations", ""},     {"reserve", "n --nodes 1 --tenant t --for 1h"},
    {"resume", "a"},          {"retry", "g"},           {"schedule pause", "n"},
    {"schedule remove", "n"}, {"schedule resume", "n"}, {"schedule run-now", "n"},
    {"schedules", ""},        {"status", ""},           {"submit", "g.yaml"},
    {"tenants", ""},          {"unreserve", "n"},       {"why", "g a"},
};
const std::set<std::string> kOthers{"coordinator", "dev",         "keys",      "keys allow", "keys list",
                                    "keys new",    "keys revoke", "keys show", "recipes",    "schedule",
                                    "schema",      "simulate",    "worker"};

// As `--help` lists them, with those below them: "keys new".
std::set<std::string> Usage::commands(const std::string& above) {
  const Outcome help = run(above + " --help");
  EXPECT_EQ(help.exit_code, 0) << help.text;
  EXPECT_THAT(help.text, HasSubstr("--help"));
  std::set<std::string> found;
  const std::size_t list = help.text.find("\nSubcommands:\n");
  if (list == std::string::npos) return found;
  std::istringstream lines(help.text.substr(list + 1));
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line) && line.starts_with("  ")) {
    if (line[2] == ' ') continue;  // the rest of a long text
    const std::string name = above + (above.empty() ? "" : " ") + line.substr(2, line.find(' ', 2) - 2);
    found.insert(name);
    found.merge(commands(name));
  }
  return found;
}

TEST_F(Usage, EveryCommandHasHelpAndIsLookedAtHere) {
  std::set<std::string> known = kOthers;
  for (const auto& [name, arguments] : kAsking) known.insert(name);
  EXPECT_EQ(commands(""), known);
}

TEST_F(Usage, WhoeverAsksTheCoordinatorCanBeToldWhereItIsAndHowToAnswer) {
  for (const auto& [name, arguments] : kAsking) {
    const Outcome help = run(name + " --help");
    for (const char* option : {"--coordinator", "--state", "--key", "--server-key", "--plain", "--output"})
      EXPECT_THAT(help.text, HasSubstr(std::string("\n  ") + option + " ")) << name;
    EXPECT_EQ(run(name + " " + arguments + " --output xml").exit_code, 2) << name;
  }
}

TEST_F(Usage, WrongArgumentsEndWithTwo) {
  for (const char* arguments : {"",
                                "fly",
                                "submit",
                                "status --output xml",
                                "logs",
                                "worker",
                                "dev --workers 0",
                                "coordinator --lease soon",
                                "logs g j --attempt 0",
                                "why g",
                                "drain",
                                "drain a --deadline soon",
                                "tenants x --weight 0",
                                "worker --label x",
                                "reserve",
                                "unreserve",
                                "reservations x",
                                "reserve --nodes 1 --tenant t --for 1h",
                                "reserve n --tenant t --for 1h",
                                "reserve n --nodes 1 --for 1h",
                                "reserve n --nodes 1 --tenant t",
                                "reserve n --nodes 0 --tenant t --for 1h",
                                "reserve n --nodes 1 --tenant t --for soon",
                                "reserve n --nodes 1 --tenant t --for 1h --start whenever",
                                "reserve n --select rack --tenant t --for 1h",
                                "schedule",
                                "schedule pause",
                                "schedule stop n",
                                "schedules a b",
                                "retry",
                                "checkpoints",
                                "artifacts",
                                "resume",
                                "keys",
                                "keys new",
                                "keys allow",
                                "keys revoke",
                                "keys show",
                                "simulate --seed x",
                                "plan",
                                "cancel",
                                "recipes a b"}) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << arguments << "\n" << outcome.text;
    EXPECT_FALSE(outcome.text.empty());
  }
}

TEST_F(Usage, AWrongGraphIsRefusedBeforeAnybodyIsAsked) {
  write("g.yaml", "graph: g\njobs:\n  a: { kind: comand }\n  b: { kind: command, needs: [a] }\n");
  for (const char* command : {"submit", "plan"}) {
    const Outcome outcome = run(std::string(command) + " g.yaml");
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.text, StartsWith("g.yaml:3: jobs.a.kind: is \"comand\", must be one of: "));
    EXPECT_THAT(outcome.text, HasSubstr("g.yaml:4: jobs.b.command: is missing"));
  }
  const auto json = nlohmann::json::parse(run("submit g.yaml --output json").text, nullptr, false);
  ASSERT_TRUE(json.is_object());
  EXPECT_EQ(json["error"]["code"], "invalid");
}

TEST_F(Usage, AMissingFileEndsWithThree) {
  const Outcome outcome = run("submit nowhere.yaml");
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_THAT(outcome.text, HasSubstr("nowhere.yaml cannot be opened"));
}

TEST_F(Usage, WithoutACoordinatorEveryQuestionEndsWithFive) {
  write("g.yaml", "graph: g\njobs: {a: {kind: command, command: ['true']}}\n");
  for (const auto& [name, arguments] : kAsking) {
    const Outcome outcome = run(name + " " + arguments);
    EXPECT_EQ(outcome.exit_code, 5) << name;
    EXPECT_THAT(outcome.text,
                StartsWith("paddock: no coordinator: .paddock/endpoint does not exist; start `paddock dev`"));
  }
}

TEST_F(Usage, SchemaPrintsJson) {
  const auto schema = nlohmann::json::parse(run("schema").text, nullptr, false);
  ASSERT_TRUE(schema.is_object());
  EXPECT_TRUE(schema["properties"].contains("jobs"));
}

TEST_F(Usage, RecipesAreListedAndShown) {
  const Outcome list = run("recipes");
  EXPECT_EQ(list.exit_code, 0);
  EXPECT_THAT(list.text, testing::ContainsRegex("\nvitl14 +pretrain  ViT-L/14, "));
  const auto json = nlohmann::json::parse(run("recipes --output json").text, nullptr, false);
  ASSERT_TRUE(json.is_object());
  EXPECT_GE(json["recipes"].size(), 10u);
  const Outcome one = run("recipes vits14-short --ranks 8");
  EXPECT_EQ(one.exit_code, 0);
  EXPECT_THAT(one.text, StartsWith("# vits14-short: "));
  EXPECT_THAT(one.text, HasSubstr("\n  # data: must be given\n"));
  EXPECT_THAT(one.text, HasSubstr("\n    arch: vit_small\n"));
  EXPECT_THAT(one.text, HasSubstr("8 ranks have at most 4 each"));
  EXPECT_THAT(one.text, Not(HasSubstr("embed_dim")));
  const auto whole = nlohmann::json::parse(run("recipes vits14-short --output json").text, nullptr, false);
  ASSERT_TRUE(whole.is_object());
  EXPECT_EQ(whole["parent"], "vitl16-short");
  EXPECT_EQ(whole["with"]["schedule"]["steps"], 125'000);
  EXPECT_EQ(whole["required"], nlohmann::json({"data"}));
  EXPECT_EQ(whole["summary"]["samples"], 256'000'000);
}

// What `recipes NAME` prints is the beginning of a job.
TEST_F(Usage, ARecipeShownMayBePastedIntoAGraph) {
  std::string job;
  std::istringstream lines(run("recipes distill-vitl14").text);
  for (std::string line; std::getline(lines, line);) job += "    " + line + "\n";
  write("g.yaml", "graph: g\njobs:\n  a:\n" + job + "      data: /d\n      teacher: /t\n");
  const Outcome outcome = run("submit g.yaml");
  EXPECT_EQ(outcome.exit_code, 5) << outcome.text;  // the graph is right, but nobody takes it
}

TEST_F(Usage, AnUnknownRecipeEndsWithThree) {
  const Outcome outcome = run("recipes vitl15");
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_THAT(outcome.text, StartsWith("paddock: there is no recipe \"vitl15\"; there are: "));
  EXPECT_THAT(outcome.text, HasSubstr("did you mean `vitl14`?"));
  write("g.yaml", "graph: g\njobs:\n  a: { kind: pretrain, with: { recipe: vitl15, data: /d } }\n");
  const Outcome graph = run("submit g.yaml");
  EXPECT_EQ(graph.exit_code, 2);
  EXPECT_THAT(graph.text, HasSubstr("g.yaml:3: jobs.a.with.recipe: is \"vitl15\", must be one of: "));
}

}  // namespace
}  // namespace paddock::cli
