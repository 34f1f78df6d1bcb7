// data/batch_maker.h – what a batch consists of, picture by picture, without threads: the loader decides who
// makes what when. Threads: make_picture and make_masks write to parts of the batch that are theirs alone, so
// that any number of them may run at once on one batch, each (batch, slot) once.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "base/guarded.h"
#include "data/loader.h"
#include "data/picture_source.h"
#include "data/sampler.h"

namespace paddock::data {

class BatchMaker {
 public:
  // Throws std::invalid_argument: see Loader.
  BatchMaker(const storage::SampleSet& set, const LoaderOptions& options);

  int pictures() const { return pictures_; }  // B
  // Memory and positions of the batch of a step's virtual shard.
  Batch begin(std::uint64_t step, int shard) const;
  // All views of the picture at `slot` of [0, B). Throws std::runtime_error: see Loader::next.
  void make_picture(Batch& batch, int slot) const;
  void make_masks(Batch& batch) const;
  // Once all pictures are made.
  void finish(Batch& batch) const;

  std::vector<Quarantined> quarantined() const;
  std::uint64_t retries() const { return source_.retries(); }

 private:
  struct Chosen {
    std::uint64_t index = 0;
    std::shared_ptr<const Image> image;
  };
  Chosen choose(std::uint64_t index) const;
  Chosen replace(std::uint64_t index, const Error& reason) const;
  // Null: the sample is bad, for the reason given back. Throws when the fault is the disk's.
  std::shared_ptr<const Image> read(std::uint64_t index, Error& reason) const;

  const LoaderOptions options_;
  const int pictures_;
  const SampleOrder order_;
  const PictureSource source_;
  mutable Guarded<std::map<std::uint64_t, Quarantined>> quarantined_;
};

}  // namespace paddock::data
