// jobs/evaluate/pictures.h – the dataset's pictures as a model sees them: squares of one size, decoded once
// for all models. As DINOv2 does it: short side resized to image_size / crop_ratio, centre cut out; or
// padded, for pictures on white that fill their frame. Threads: const members from any.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/image.h"
#include "storage/sample_set.h"

namespace paddock::evaluate {

struct Picture {
  std::string source;       // its path in the pool
  std::int32_t label = -1;  // index into the classes; -1: none
  data::Image square;       // image_size × image_size
};

struct PictureSet {
  std::vector<Picture> pictures;
  std::vector<data::Image>
      crops;  // one random crop of each picture, resized to the same square; only where asked for
};

struct EvalTransform {
  int image_size = 0;
  double crop_ratio = 1;   // image_size / short side before the centre is cut out
  bool is_padded = false;  // white to a square instead of cutting
};

data::Image square_of(const data::Image& picture, const EvalTransform& transform);

// A crop of 20–50 % of the picture's area, sides' ratio 3/4–4/3, anywhere, resized to the square: a function
// of (seed, position).
data::Image random_crop_square(const data::Image& picture, int image_size, std::uint64_t seed,
                               std::uint64_t position);

// All pictures of the set, in its order, decoded to `channels` (data/decode.h). `classes`, sorted or not, maps labels to
// indices. Throws std::runtime_error for a damaged set and for a picture that does not decode.
PictureSet load_pictures(const storage::SampleSet& samples, const std::vector<std::string>& classes,
                         int channels, const EvalTransform& transform, bool with_crops, std::uint64_t seed,
                         int threads);

// Positions of the pictures that have a label.
std::vector<std::uint32_t> labelled(const PictureSet& set);

}  // namespace paddock::evaluate
