// coordinator/job_progress.h – what a job's ranks say of their work. Not journaled: after a restart it comes again with the workers.
// Threads: one owner.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/ids.h"

namespace paddock::coordinator {

class JobProgress {
 public:
  // `text`: a progress line of a rank of the attempt, which rank wrote as it liked. Rank 0's is the job's; of another one only
  // its "health" is kept, until it says that it is well: rank 0 may be the one that hangs.
  void take(Fence fence, std::uint32_t rank, const std::string& text);
  // JSON: rank 0's, and while the attempt runs the others' health beside its own. Empty: none has come.
  std::string text(bool is_running) const;
  Fence fence() const { return fence_; }                                // the attempt that all this is of
  std::uint64_t bytes() const { return own_.size() + health_.size(); }  // of text(), about

 private:
  std::string own_;
  std::string health_;  // empty: all are well
  Fence fence_;
  std::uint32_t rank_ = 0;
};

using Progress = std::map<JobKey, JobProgress>;

}  // namespace paddock::coordinator
