// model/token_layout.h – where the tokens of several groups of images lie in their concatenation.
// Threads: values.
#pragma once

#include <cstdint>
#include <vector>

namespace paddock::model {

// Group g is rows [first[g], first[g] + images[g]·tokens[g]), image by image.
struct TokenLayout {
  std::vector<std::int64_t> images, tokens, first;
  std::int64_t rows = 0;

  void add(std::int64_t group_images, std::int64_t group_tokens) {
    images.push_back(group_images);
    tokens.push_back(group_tokens);
    first.push_back(rows);
    rows += group_images * group_tokens;
  }
  std::vector<std::int64_t> sizes() const {
    std::vector<std::int64_t> sizes;
    for (std::size_t g = 0; g < images.size(); ++g) sizes.push_back(images[g] * tokens[g]);
    return sizes;
  }
};

}  // namespace paddock::model
