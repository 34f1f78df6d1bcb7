// cli/command.h – what every command shares: where the coordinator is, how answers are printed, the exit
// codes. A command is one file with one add_… function: it describes its arguments and, when they are the
// ones given, leaves in `Chosen` what to run. main.cpp runs it after parsing, so nothing of ours passes
// through CLI11. Threads: one. Errors: Result; main prints them and turns them into the exit code.
#pragma once

#include <CLI/App.hpp>
#include <filesystem>
#include <functional>
#include <string>

#include "base/result.h"

namespace paddock::cli {

// Documented in docs/operator.md: scripts rely on them.
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;      // what was asked for failed
inline constexpr int kWrongUsage = 2;  // wrong arguments, or a graph that is refused
inline constexpr int kNotFound = 3;    // no such graph, job, attempt or file
inline constexpr int kDenied = 4;      // the key may not do that
inline constexpr int kUnreachable =
    5;  // no coordinator answers, or this machine refuses a file or port: try again later

int exit_code_of(const Error& error);

struct Target {
  std::string coordinator;                   // endpoint; empty: read it from `state`/endpoint
  std::filesystem::path state = ".paddock";  // as `paddock dev --state`
  std::filesystem::path key;                 // our secret key; empty: `state`/client.secret
  std::string server_key;  // the coordinator's; empty: it stands below the endpoint in its file
  bool plain = false;
};

struct Chosen {
  std::function<Result<int>()> run;  // returns the exit code
  bool is_json = false;              // --output json: errors too
};

// --coordinator, --state, --key, --server-key and --plain.
void add_target_options(CLI::App& command, Target& target);
// --output text|json.
void add_output_option(CLI::App& command, Chosen& chosen);

void add_dev(CLI::App& app, Chosen& chosen);
void add_submit(CLI::App& app, Chosen& chosen);
void add_plan(CLI::App& app, Chosen& chosen);
void add_status(CLI::App& app, Chosen& chosen);
void add_logs(CLI::App& app, Chosen& chosen);
void add_cancel(CLI::App& app, Chosen& chosen);
void add_why(CLI::App& app, Chosen& chosen);
void add_retry(CLI::App& app, Chosen& chosen);
void add_drain(CLI::App& app, Chosen& chosen);
void add_resume(CLI::App& app, Chosen& chosen);
void add_tenants(CLI::App& app, Chosen& chosen);
void add_schedules(CLI::App& app, Chosen& chosen);
void add_reservations(CLI::App& app, Chosen& chosen);
void add_nodes(CLI::App& app, Chosen& chosen);
void add_checkpoints(CLI::App& app, Chosen& chosen);
void add_artifacts(CLI::App& app, Chosen& chosen);
void add_recipes(CLI::App& app, Chosen& chosen);
void add_schema(CLI::App& app, Chosen& chosen);
void add_keys(CLI::App& app, Chosen& chosen);

}  // namespace paddock::cli
