// worker/attempt_folders.h – the folders of attempts on this node: where they are, and which are kept once
// they have ended. Threads: one owner.
#pragma once

#include <cstddef>
#include <deque>
#include <filesystem>

#include "base/ids.h"

namespace paddock::worker {

// <state>/attempts/<fence>: the resolved options and the logs of one attempt's ranks on this node.
std::filesystem::path attempt_folder(const std::filesystem::path& state, Fence fence);

class AttemptFolders {
 public:
  // What an earlier run of the worker left counts as ended, the lowest fence first.
  AttemptFolders(std::filesystem::path state, std::size_t kept);

  // All ranks of the attempt have ended and nobody asks for its logs any more: it is kept until `kept` others
  // have followed.
  void ended(Fence fence);

 private:
  void remove_surplus();

  const std::filesystem::path state_;
  const std::size_t kept_;
  std::deque<Fence> ended_;  // oldest first
};

}  // namespace paddock::worker
