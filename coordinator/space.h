// coordinator/space.h – whether there is room for what is new: the disk's (room.h), or a simulated one's.
// Threads: one owner.
#pragma once

#include "base/result.h"

namespace paddock::coordinator {

class Space {
 public:
  virtual ~Space() = default;
  // Looks at the disk; called in every turn, before anything is written.
  virtual void look() = 0;
  // kExhausted, with what to do: nothing new may be accepted now.
  virtual Result<void> check() const = 0;
  // False: what room there is, is for what was accepted.
  virtual bool is_whole() const = 0;
};

}  // namespace paddock::coordinator
