// data/loader.h – the batches of a rank, from a set of pictures: order, views, masks.
// Step t of a run takes positions [t·GB, (t+1)·GB) (GB = global_batch), cut into V equal virtual shards; a loader
// makes the batches of a range of them, shard after shard, step after step. A batch is a function of (set,
// options, step, virtual shard): the same bytes for any number of ranks and threads, any start, and whichever
// attempt asks. A picture that cannot be read is put aside with its reason and replaced by a sample drawn from
// (seed, its index): the run goes on, and the replacement is the same in every attempt. A disk that fails for a
// moment is asked again; no picture is put aside for it.
// Letters: B pictures of a virtual shard, L local crops, C channels, S global size, s local size, N
// patches of a global crop.
// Threads: a Loader has one owner; its own threads never touch what they handed out.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/augment.h"
#include "data/pixels.h"
#include "storage/patience.h"
#include "storage/sample_set.h"

namespace paddock::data {

// A sample that could not be read, and what stood in for it.
struct Quarantined {
  std::uint64_t index = 0;
  std::string key;
  std::string reason;
  std::uint64_t replacement = 0;
};

struct LoaderOptions {
  MultiCropOptions views;
  std::int64_t global_batch = 64;  // pictures a step over all ranks; a multiple of virtual_shards
  int virtual_shards = 1;
  int first_shard = 0;  // of this loader: [first_shard, last_shard)
  int last_shard = 1;
  std::uint64_t seed = 0;
  int threads = 0;  // that make views; 0: next() makes them itself
  int depth = 2;    // steps made ahead of next(), ≥ 1; more: steadier, and as much more memory
  std::uint64_t cache_bytes = 1ull << 30;  // decoded pictures kept in memory
  int patch_size = 14;
  double mask_probability = 0.5;  // share of the crops that are masked; 0: the masks are all zero
  double mask_ratio_min = 0.1;
  double mask_ratio_max = 0.5;
  storage::Patience patience;  // with a disk that fails for a moment
  // Told of each sample once, the moment it is put aside: on the thread that met it, one call at a time. Must not call the
  // loader.
  std::function<void(const Quarantined&)> on_quarantined;
};

struct Batch {
  std::uint64_t step = 0;
  int shard = 0;                    // virtual
  Pixels globals;                   // [2B, C, S, S]: the first crops of all pictures, then the second ones
  Pixels locals;                    // [L·B, C, s, s]: crop by crop, too
  std::vector<std::uint8_t> masks;  // [2B, N], 1: masked
  std::vector<std::int64_t> mask_indices;  // into the flat masks, ascending
  std::vector<float> mask_weights;         // one a masked patch: 1 / masked patches of its crop
  std::int64_t mask_indices_max = 0;       // bound on mask_indices.size() for these options
  std::vector<std::uint64_t> positions;    // [B]
  std::vector<std::uint64_t> indices;      // [B]: samples that were used, after replacement
  std::uint64_t samples_hash = 0;          // of (position, index) in order: equal runs have equal hashes
};

class Loader {
 public:
  // Begins at step `first_step` = steps already taken. `set` must outlive the loader.
  // Throws std::invalid_argument: options that do not fit (batch and virtual shards, sizes and patch), an empty set.
  Loader(const storage::SampleSet& set, const LoaderOptions& options, std::uint64_t first_step);
  ~Loader();  // joins the threads; what they were making is dropped
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // The next batch: the step's next shard, or the next step's first; waits for it. Throws std::runtime_error when the disk
  // fails, or when a sample and all of its eight replacements are bad.
  Batch next();

  // Everything put aside so far, by index.
  std::vector<Quarantined> quarantined() const;
  // How often the disk was asked again so far.
  std::uint64_t retries() const;

 private:
  class Workers;
  std::unique_ptr<Workers> workers_;
};

}  // namespace paddock::data
