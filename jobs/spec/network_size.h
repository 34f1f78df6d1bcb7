// jobs/spec/network_size.h – how large a network is and how much work a pass through it, from its options
// alone. The formulas stand in docs/training.md; they count what model/vision_transformer.h and
// model/dino_head.h hold and do. FLOP: a multiplication with its addition is 2. Letters: N patches of a
// picture, T = 1 + registers + N tokens, D width, h width inside the feed-forward, K prototypes. Threads:
// pure functions.
#pragma once

#include <cstdint>
#include <optional>

#include "jobs/spec/training.h"

namespace paddock::spec {

// A backbone with its heads: what student and teacher both are. The arch is resolved().
struct NetworkSize {
  BackboneSpec backbone;
  std::int64_t image_size = 224;  // pixels, square: what the table of positions is made for
  HeadSpec dino_head;
  std::optional<HeadSpec> ibot_head;  // none: patches go through the dino head

  const HeadSpec& patch_head() const { return ibot_head ? *ibot_head : dino_head; }
};

// N of a square picture of so many pixels.
std::int64_t patches_of(const BackboneSpec& backbone, std::int64_t image_size);
// T of it.
std::int64_t tokens_of(const BackboneSpec& backbone, std::int64_t image_size);
// h: 4·D, or of the gated feed-forward two thirds of that, rounded up to a multiple of 8.
std::int64_t feed_forward_width(const BackboneSpec& backbone);

// Numbers of parameters.
std::int64_t backbone_parameters(const NetworkSize& network);
std::int64_t head_parameters(const HeadSpec& head, std::int64_t width);
// Of both heads, or of the one that there is.
std::int64_t heads_parameters(const NetworkSize& network);
// Those of them that are weights and biases of matrix products: all but norms, gains, tokens, positions and prototypes.
std::int64_t backbone_product_parameters(const NetworkSize& network);
std::int64_t heads_product_parameters(const NetworkSize& network);

// FLOP of a forward pass of one picture: of the blocks, and of the patches' embedding before them.
double block_flops(const BackboneSpec& backbone, std::int64_t image_size);
double embedding_flops(const BackboneSpec& backbone, std::int64_t image_size);
// FLOP of a head's forward pass of one row.
double head_flops(const HeadSpec& head, std::int64_t width);

}  // namespace paddock::spec
