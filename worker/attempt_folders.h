// worker/attempt_folders.h – the folders of attempts on this node: where they are, and which are kept once
// they have ended. A folder that is not kept any more becomes that of a new attempt: renaming costs a fraction
// of what removing and making cost a file system. Threads: one owner.
#pragma once

#include <cstddef>
#include <deque>
#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "base/ids.h"
#include "base/result.h"

namespace paddock::worker {

// <state>/attempts/<fence>: the resolved options and the logs of one attempt's ranks on this node.
std::filesystem::path attempt_folder(const std::filesystem::path& state, Fence fence);
// Of a rank, in that folder.
std::string log_name(RankId rank);

class AttemptFolders {
 public:
  // What an earlier run of the worker left counts as ended, the lowest fence first.
  AttemptFolders(std::filesystem::path state, std::size_t kept);

  // The attempt's folder, made if it is not there, where `rank` has no log yet. What else a folder had is
  // overwritten by its new attempt; where it `is_private`, a tenant's own, it is made anew. kUnavailable: the disk refuses.
  Result<std::filesystem::path> open(Fence fence, RankId rank, bool is_private = false);
  // All ranks of the attempt have ended and nobody asks for its logs any more: it is kept until `kept` others
  // have followed.
  void ended(Fence fence);

 private:
  struct Folder {
    Fence fence;
    std::set<std::string> logs;
    bool is_known = true;  // false: of an earlier run, it may hold anything
  };
  void remove(const Folder& folder) const;
  bool reuse(Folder& folder, Fence fence, const std::string& log) const;

  const std::filesystem::path state_;
  const std::size_t kept_;
  std::map<Fence, Folder> live_;
  std::deque<Folder> ended_;  // oldest first
};

}  // namespace paddock::worker
