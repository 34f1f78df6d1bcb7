// jobs/spec/matrix.h – one job written, many meant: `matrix: { student: [vits14, vitb14] }` stands for a job for
// each combination of values, called distill.vits14, distill.vitb14. Works on the map of jobs before the jobs
// are read, so that everything after it knows of plain jobs only.
//
// `${matrix.KEY}` in a job's texts becomes its value; a key that no text mentions sets the option `with.KEY`.
// Who names a job with a matrix means those of its jobs whose values agree with its own matrix: in `needs` and
// as an element of a list all of them, in any other text there must be exactly one.
// Threads: pure functions. Errors: problems with their paths; no throws.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "jobs/spec/option_table.h"

namespace paddock::spec {

struct ExpandedJobs {
  Json jobs = Json::object();
  std::vector<std::string> order;              // names as they are to be read
  std::map<std::string, std::string> written;  // name → the one it was written under, where that is another
};

// `order`: the names in `jobs` as written. More than limits::kJobsPerGraphMax jobs are a problem.
ExpandedJobs expand_matrices(Json jobs, const std::vector<std::string>& order, Problems& problems);

// For the schema of a job.
Json matrix_schema();

}  // namespace paddock::spec
