// tests/data/small_batches.h – batches small enough to be compared byte by byte.
#pragma once

#include "data/loader.h"

namespace paddock::data {

inline LoaderOptions small() {
  LoaderOptions options;
  options.views.global_size = 28;
  options.views.local_size = 14;
  options.views.num_local = 3;
  options.patch_size = 7;
  options.global_batch = 4;
  options.seed = 11;
  return options;
}

inline bool equal(const Batch& a, const Batch& b) {
  return a.step == b.step && a.globals == b.globals && a.locals == b.locals && a.masks == b.masks &&
         a.mask_indices == b.mask_indices && a.mask_weights == b.mask_weights &&
         a.mask_indices_max == b.mask_indices_max && a.positions == b.positions && a.indices == b.indices &&
         a.samples_hash == b.samples_hash;
}

}  // namespace paddock::data
