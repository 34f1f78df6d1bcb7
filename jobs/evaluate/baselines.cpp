#include "jobs/evaluate/baselines.h"

#include "jobs/curate/descriptor.h"

namespace paddock::evaluate {

FeatureTable raw_pixels(const std::vector<const data::Image*>& pictures) {
  constexpr int kSide = 32;
  FeatureTable table{kSide * kSide * 3, {}};
  for (const data::Image* picture : pictures) {
    std::vector<float> cells = curate::cell_means(*picture, kSide);
    for (std::size_t channel = 0; channel < 3; ++channel) {
      double mean = 0;
      for (std::size_t i = channel; i < cells.size(); i += 3) mean += cells[i];
      mean /= kSide * kSide;
      for (std::size_t i = channel; i < cells.size(); i += 3) cells[i] -= static_cast<float>(mean);
    }
    table.values.insert(table.values.end(), cells.begin(), cells.end());
  }
  return table;
}

FeatureTable color_histogram(const std::vector<const data::Image*>& pictures) {
  FeatureTable table{64, {}};
  for (const data::Image* picture : pictures) {
    std::vector<float> shares(64, 0.f);
    const std::size_t pixels = picture->rgb.size() / 3;
    for (std::size_t p = 0; p < pixels; ++p) {
      const std::uint8_t* rgb = picture->rgb.data() + 3 * p;
      shares[static_cast<std::size_t>((rgb[0] >> 6) * 16 + (rgb[1] >> 6) * 4 + (rgb[2] >> 6))] +=
          1.f / static_cast<float>(pixels);
    }
    table.values.insert(table.values.end(), shares.begin(), shares.end());
  }
  return table;
}

}  // namespace paddock::evaluate
