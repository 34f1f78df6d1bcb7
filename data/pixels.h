// data/pixels.h – memory for views: a vector of floats that are not set before somebody writes them. To zero
// a batch first would take its owner's thread longer than all else it does for it, 2 MB a picture. Threads:
// as std::vector.
#pragma once

#include <memory>
#include <utility>
#include <vector>

namespace paddock::data {

template <typename Value>
struct UnsetAllocator : std::allocator<Value> {
  template <typename Other>
  struct rebind {
    using other = UnsetAllocator<Other>;
  };

  template <typename Other>
  void construct(Other* place) noexcept {
    ::new (static_cast<void*>(place)) Other;  // leaves a float as it is
  }
  template <typename Other, typename... Arguments>
  void construct(Other* place, Arguments&&... arguments) {
    ::new (static_cast<void*>(place)) Other(std::forward<Arguments>(arguments)...);
  }
};

using Pixels = std::vector<float, UnsetAllocator<float>>;

}  // namespace paddock::data
