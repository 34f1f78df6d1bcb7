#include "cli/command.h"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Option.hpp>
#include <CLI/Validators.hpp>

namespace paddock::cli {

int exit_code_of(const Error& error) {
  switch (error.code) {
    case Code::kInvalid:
      return kWrongUsage;
    case Code::kNotFound:
      return kNotFound;
    case Code::kDenied:
      return kDenied;
    case Code::kUnavailable:
      return kUnreachable;
    default:
      return kFailed;
  }
}

void add_target_options(CLI::App& command, Target& target) {
  command.add_option("--coordinator", target.coordinator, "where it listens: tcp://HOST:PORT");
  command
      .add_option("--state", target.state, "folder of `paddock dev`, whose coordinator is meant otherwise")
      ->capture_default_str();
  command.add_option("--key", target.key,
                     "your secret key; without it client.secret in the folder of --state");
  command.add_option(
      "--server-key", target.server_key,
      "the coordinator's public key, or a file with it; without it what the endpoint file says");
  command.add_flag("--plain", target.plain, "without keys: to a coordinator on this machine that has none");
}

void add_output_option(CLI::App& command, Chosen& chosen) {
  command
      .add_option_function<std::string>(
          "--output", [&chosen](const std::string& form) { chosen.is_json = form == "json"; }, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->default_str("text");
}

}  // namespace paddock::cli
