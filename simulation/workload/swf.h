// simulation/workload/swf.h – the Standard Workload Format of the Parallel Workloads Archive: a job a line, 18 numbers, -1
// for what is not known; comments begin with ';' and may say what the machine was. Threads: pure functions.
//
// Of a line count the job's number, when it was submitted, its run time, processors (asked for, else given), time asked for
// (else its run time), status and user. A job that was cancelled before it started (status 5, no run time) and pieces of a
// job that was checkpointed (2, 3, 4) are left out and counted; one that failed (0) or was cancelled while it ran
// occupied the machine and is replayed. Dependencies (fields 17 and 18) are not.
#pragma once

#include <filesystem>
#include <istream>
#include <ostream>
#include <string>

#include "base/result.h"
#include "simulation/workload/workload.h"

namespace paddock::simulation {

// kInvalid with file, line and field where a line cannot be understood. `name`: of the file, for that.
Result<Workload> read_swf(std::istream& in, const std::string& name);
// kNotFound, kUnavailable: the file cannot be read.
Result<Workload> read_swf_file(const std::filesystem::path& path);

// `about`: lines for the header.
void write_swf(std::ostream& out, const Workload& workload, const Machines& machines,
               const std::string& about);
Result<void> write_swf_file(const std::filesystem::path& path, const Workload& workload,
                            const Machines& machines, const std::string& about);

}  // namespace paddock::simulation
