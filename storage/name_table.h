// storage/name_table.h – many names, numbered as they come, in one piece of memory: a set of a hundred
// million pictures has as many. Threads: a value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"

namespace paddock::storage {

class NameTable {
 public:
  void add(std::string_view name) {
    text_ += name;
    ends_.push_back(text_.size());
  }
  std::uint64_t size() const { return ends_.size(); }
  // Valid until the next add().
  std::string_view operator[](std::uint64_t i) const {
    PADDOCK_REQUIRE(i < size(), i, size());
    const std::uint64_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(text_).substr(begin, ends_[i] - begin);
  }

 private:
  std::string text_;
  std::vector<std::uint64_t> ends_;
};

}  // namespace paddock::storage
