#include "model/kernels/packed_block.h"

#include "model/kernels/vector_forms.h"

#define PADDOCK_LOOPS "model/kernels/packed_block.inc"
#include "model/kernels/every_form.inc"

namespace paddock::model {

bool has_packed_block(const PackedBlockShape& shape) {
  if (instructions() == Instructions::kAny) return false;
  PADDOCK_BEST_FORM(fits, shape);
}

PackedBlockSizes packed_block_sizes(const PackedBlockShape& shape) {
  PADDOCK_BEST_FORM(sizes_of, shape);
}

void pack_block(const PackedBlockShape& shape, const BlockPointers& block, float* weights, std::int64_t piece,
                std::int64_t pieces) {
  PADDOCK_BEST_FORM(pack_panels, shape, block, weights, piece, pieces);
}

void packed_queries_keys_values(const PackedImage& image, PackedRange slivers) {
  PADDOCK_BEST_FORM(queries_keys_values, image, slivers);
}

void packed_attention(const PackedImage& image, PackedRange heads) {
  PADDOCK_BEST_FORM(attention, image, heads);
}

void packed_projection_and_feed_forward(const PackedImage& image, PackedRange slivers) {
  PADDOCK_BEST_FORM(projection_and_feed_forward, image, slivers);
}

}  // namespace paddock::model
