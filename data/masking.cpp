#include "data/masking.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"

namespace paddock::data {
namespace {

constexpr double kBlockPatchesMin = 4;
constexpr double kAspectMin = 0.3;
constexpr int kTries = 10;

// A block that masks 1 … `patches_max` patches more, laid into the mask; returns how many, 0: none was found.
int add_block(std::vector<std::uint8_t>& mask, int rows, int columns, int patches_max, Draws& draws) {
  for (int attempt = 0; attempt < kTries; ++attempt) {
    // The bounds stand reversed when fewer than 4 are left to mask; the reference draws between them all the
    // same.
    const double area = draws.uniform(kBlockPatchesMin, patches_max);
    const double aspect = std::exp(draws.uniform(std::log(kAspectMin), std::log(1.0 / kAspectMin)));
    const int height = static_cast<int>(std::nearbyint(std::sqrt(area * aspect)));
    const int width = static_cast<int>(std::nearbyint(std::sqrt(area / aspect)));
    if (width >= columns || height >= rows) continue;
    const int top = static_cast<int>(draws.below(static_cast<std::uint64_t>(rows - height) + 1));
    const int left = static_cast<int>(draws.below(static_cast<std::uint64_t>(columns - width) + 1));
    int added = 0;
    for (int y = top; y < top + height; ++y)
      for (int x = left; x < left + width; ++x)
        added += mask[static_cast<std::size_t>(y * columns + x)] == 0 ? 1 : 0;
    if (added == 0 || added > patches_max) continue;
    for (int y = top; y < top + height; ++y)
      for (int x = left; x < left + width; ++x) mask[static_cast<std::size_t>(y * columns + x)] = 1;
    return added;
  }
  return 0;
}

}  // namespace

std::vector<std::uint8_t> block_mask(int rows, int columns, int target, Draws& draws) {
  PADDOCK_REQUIRE(rows > 0 && columns > 0 && target >= 0 && target <= rows * columns, rows, columns, target);
  std::vector<std::uint8_t> mask(static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns));
  const int block_max = rows / 2 * columns;
  int masked = 0;
  while (masked < target) {
    const int added = add_block(mask, rows, columns, std::min(target - masked, block_max), draws);
    if (added == 0) break;
    masked += added;
  }
  return mask;
}

MaskPlan plan_masks(int images, const MaskOptions& options, std::uint64_t seed, std::uint64_t step,
                    std::uint32_t shard) {
  PADDOCK_REQUIRE(images >= 0 && options.probability >= 0 && options.probability <= 1, images,
                  options.probability);
  PADDOCK_REQUIRE(options.ratio_min >= 0 && options.ratio_min <= options.ratio_max && options.ratio_max <= 1,
                  options.ratio_min, options.ratio_max);
  Draws draws(seed, step, Purpose::kMask, shard);
  const int patches = options.rows * options.columns;
  const int masked_images = static_cast<int>(images * options.probability);
  const auto edge = [&](int i) {
    return options.ratio_min + (options.ratio_max - options.ratio_min) * i / std::max(masked_images, 1);
  };
  MaskPlan plan;
  std::vector<std::vector<std::uint8_t>> masks(static_cast<std::size_t>(images),
                                               std::vector<std::uint8_t>(static_cast<std::size_t>(patches)));
  for (int i = 0; i < masked_images; ++i) {
    const int target = static_cast<int>(patches * draws.uniform(edge(i), edge(i + 1)));
    masks[static_cast<std::size_t>(i)] = block_mask(options.rows, options.columns, target, draws);
    plan.indices_max += static_cast<std::int64_t>(patches * edge(i + 1));
  }
  for (std::size_t i = masks.size(); i > 1; --i) std::swap(masks[i - 1], masks[draws.below(i)]);

  plan.masks.reserve(static_cast<std::size_t>(images) * static_cast<std::size_t>(patches));
  for (const auto& mask : masks) {
    const auto count = std::count(mask.begin(), mask.end(), std::uint8_t{1});
    for (const std::uint8_t is_masked : mask) {
      if (is_masked != 0) {
        plan.indices.push_back(static_cast<std::int64_t>(plan.masks.size()));
        plan.weights.push_back(1.0f / static_cast<float>(count));
      }
      plan.masks.push_back(is_masked);
    }
  }
  return plan;
}

}  // namespace paddock::data
