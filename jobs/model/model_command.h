// jobs/model/model_command.h – `paddock-run model …`: weights looked into, converted and used, without a cluster.
// For people: docs/model-command.md. Threads: one caller; work is shared out to threads_of_this_rank().
#pragma once

#include <ostream>
#include <span>
#include <string>

namespace paddock::jobs {

// Runs the command that `words` begins with ("info", "--weights", …). Results go to files and `out`, everything else to
// `err`. Returns the exit code: 0 done; 1 the work failed (a damaged file, a full disk, not one picture decoded); 2 what was
// asked has to be changed (unknown options, no such file, weights that fit no model, a result that exists). Throws nothing.
int run_model_command(std::span<const std::string> words, std::ostream& out, std::ostream& err);

}  // namespace paddock::jobs
