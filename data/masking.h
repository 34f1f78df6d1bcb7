// data/masking.h – which patches of the global crops the student does not see.
// Source: BEiT's block masks as DINOv2 uses them (iBOT loss, arXiv 2304.07193 §4). Letters: N patches of a
// crop. Draws are counter-based: a plan is a function of (seed, step, virtual shard) and the options. Threads: pure
// functions.
#pragma once

#include <cstdint>
#include <vector>

#include "base/random.h"

namespace paddock::data {

// A mask of rows × columns patches (1: masked) made of rectangles, aspect log-uniform in [0.3, 1/0.3], at
// least 4 patches and at most half the grid, until `target` patches are masked or ten rectangles in a row do
// not fit: then it stays a little short, as in the reference (0.1 % on average).
std::vector<std::uint8_t> block_mask(int rows, int columns, int target, Draws& draws);

struct MaskOptions {
  int rows = 16;  // patches; global_size / patch_size
  int columns = 16;
  double probability = 0.5;  // share of the crops that are masked at all; 0: none
  double ratio_min = 0.1;    // of the patches, spread evenly over the masked crops
  double ratio_max = 0.5;
};

struct MaskPlan {
  std::vector<std::uint8_t> masks;    // [images, N], 1: masked
  std::vector<std::int64_t> indices;  // of the masked patches in the flat masks, ascending
  std::vector<float> weights;         // one a masked patch: 1 / masked patches of its image
  std::int64_t indices_max = 0;       // no plan of these options has more: for buffers of constant size
};

// Masks for the `images` global crops of a shard's batch, in shuffled order so that both crops of a picture
// fare alike.
MaskPlan plan_masks(int images, const MaskOptions& options, std::uint64_t seed, std::uint64_t step,
                    std::uint32_t shard);

}  // namespace paddock::data
