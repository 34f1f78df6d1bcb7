// data/normalization.h – which channels of a picture a network sees, and how their bytes become its numbers.
// One channel is the luma (ITU-R 601), three are RGB, four are RGB and opacity. A network means something
// only with the normalisation it was trained with, so a run's checkpoint records it. Threads: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/image.h"

namespace paddock::data {

struct Normalization {
  // A number a channel, of values in [0, 1]. These are ImageNet's.
  std::vector<double> mean{.485, .456, .406};
  std::vector<double> std{.229, .224, .225};

  int channels() const { return static_cast<int>(mean.size()); }
  bool operator==(const Normalization&) const = default;
};

constexpr bool is_channel_count(std::int64_t channels) {
  return channels == 1 || channels == 3 || channels == 4;
}

// What is wrong with it, a sentence without a full stop; empty: as many means as deviations, for as many
// channels as pictures can have, and all deviations above 0.
std::optional<std::string> problem_of(const Normalization& normalization);

// What is used where nobody says otherwise: ImageNet's; of one channel the mean of its three; a fourth from 0
// … 1 to −1 … 1. is_channel_count(channels) is REQUIREd.
Normalization usual_normalization(int channels);

// Writes [C, height, width] of (value / 255 − mean) / std. A picture without a fourth channel is opaque.
// REQUIREs a normalisation without a problem.
void normalize(const Image& image, const Normalization& normalization, float* out_CHW);

}  // namespace paddock::data
