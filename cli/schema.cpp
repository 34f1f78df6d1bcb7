#include "cli/command.h"
#include "cli/output.h"
#include "jobs/spec/parse.h"

namespace paddock::cli {

void add_schema(CLI::App& app, Chosen& chosen) {
  CLI::App* command = app.add_subcommand("schema", "prints the JSON Schema of a graph");
  command->callback([&chosen] {
    chosen.run = []() -> Result<int> {
      print_json(spec::submission_schema());
      return kDone;
    };
  });
}

}  // namespace paddock::cli
