// jobs/spec/matrix.h – one job written, many meant: `matrix: { student: [vits14, vitb14] }` stands for a job for
// each combination of values, called distill.vits14, distill.vitb14. Works on the map of jobs before the jobs
// are read, so that everything after it knows of plain jobs only.
//
// `${matrix.KEY}` in a job's texts becomes its value; a key that no text mentions sets the option `with.KEY`.
// Who names a job with a matrix means those of its jobs whose values agree with its own matrix: in `needs` and
// as an element of a list all of them, in any other text there must be exactly one.
// Threads: pure functions. Errors: problems with their paths; no throws.
#pragma once

#include <cstddef>
#include <string>
#include <unordered_map>
#include <vector>

#include "jobs/spec/option_table.h"

namespace paddock::spec {

// Names of jobs that a graph's matrices stand for, in its needs, edges and texts together: two jobs of large matrices that
// name each other's would make more than any machine holds.
inline constexpr std::size_t kNamesByMatrixMax = 1'000'000;

struct ExpandedJob {
  std::string name;
  std::string written;  // the name that stands in the file: another one where a matrix made the job
  Json json;
};

class ExpandedJobs {
 public:
  std::vector<ExpandedJob> jobs;  // as they are to be read
  bool has_matrix = false;

  // False: there is one of that name already.
  bool add(ExpandedJob job);
  // nullptr: there is none.
  const Json* find(const std::string& name) const;

 private:
  std::unordered_map<std::string, std::size_t> index_;  // into `jobs`, by name
};

// `order`: the names in `jobs` as written. More than limits::kJobsPerGraphMax jobs are a problem.
ExpandedJobs expand_matrices(Json jobs, const std::vector<std::string>& order, Problems& problems);

// For the schema of a job.
Json matrix_schema();

}  // namespace paddock::spec
