// model/kernels/packed_block.h – a transformer block without gradients, an image at a time, in cache.
// What vision_transformer.h's block is, on plain pointers: LayerNorm writes straight into the layout that the next product
// reads, each product's tiles get bias, activation, LayerScale or residual while they are in registers, attention is made
// from them a head at a time; nothing but the residual stream leaves the caches. Float32; sums in one order, so a token's
// bits depend neither on threads nor on the other images.
// A caller packs the weights once for all images (in pieces, on any threads) and then, image by image, takes the three
// phases in turn; a phase can be split between threads over rows or heads, the next waits for all of it.
// Letters: T tokens, D width, H hidden, I inputs of the activation (H; 2·H where gated).
// Threads: pure functions; scratch memory belongs to the calls named beside it.
#pragma once

#include <cstdint>

#include "model/kernels/activation.h"

namespace paddock::model {

struct PackedBlockShape {
  std::int64_t tokens = 0;
  std::int64_t width = 0;
  std::int64_t heads = 1;
  std::int64_t hidden = 0;
  Activation activation = Activation::kGelu;
  float epsilon = 1e-6f;
};

// As the parameters of a block; ls1 and ls2 null without LayerScale.
struct BlockPointers {
  const float *norm1_weight = nullptr, *norm1_bias = nullptr, *qkv_weight = nullptr, *qkv_bias = nullptr;
  const float *proj_weight = nullptr, *proj_bias = nullptr, *ls1 = nullptr;
  const float *norm2_weight = nullptr, *norm2_bias = nullptr, *in_weight = nullptr, *in_bias = nullptr;
  const float *out_weight = nullptr, *out_bias = nullptr, *ls2 = nullptr;
};

// False where this processor or the shape (a head's width and H: multiples of two vectors, 16 or 32) has no packed form.
bool has_packed_block(const PackedBlockShape& shape);

struct PackedBlockSizes {
  std::int64_t weights = 0;  // floats of the packed weights
  std::int64_t image = 0;    // floats of scratch that stay with an image from phase to phase
  std::int64_t thread = 0;   // floats of scratch that a call uses alone
  std::int64_t slivers = 0;  // pieces of rows that phases are split by
};
PackedBlockSizes packed_block_sizes(const PackedBlockShape& shape);

// The share `piece` of `pieces` of the packing.
void pack_block(const PackedBlockShape& shape, const BlockPointers& block, float* weights, std::int64_t piece,
                std::int64_t pieces);

struct PackedImage {
  const PackedBlockShape* shape = nullptr;
  const BlockPointers* block = nullptr;
  const float* weights = nullptr;
  float* x = nullptr;      // [T, D] of the image, changed in place by the last phase
  float* image = nullptr;  // scratch; zeros before its first use, so that no garbage is computed with
  float* thread = nullptr;
};
struct PackedRange {
  std::int64_t first = 0, last = 0;
};
void packed_queries_keys_values(const PackedImage& image, PackedRange slivers);
void packed_attention(const PackedImage& image, PackedRange heads);
void packed_projection_and_feed_forward(const PackedImage& image, PackedRange slivers);

}  // namespace paddock::model
