// data/sample_source.h – what a job's `data` may point at, opened. A path is one of:
//   a shard set of ours      a folder with index.json and index.xxh128 (storage/shard.h)
//   tar files                a .tar, or a folder with .tar files below it, by path (storage/tar_set.h)
//   pictures                 a folder with .png, .jpg or .jpeg files below it, by path (data/file_set.h)
//   a list                   any other file: a text with a picture's path a line
// A folder with both pictures and tar files is refused: which is meant can't be told. A folder with train/
// and test/ in it (a curated dataset, or two folders of pictures) is learnt from by the one and measured on
// the other; either is any of these.
// Threads: called from one; asks the disk from several, which therefore must bear it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "storage/disk.h"
#include "storage/patience.h"
#include "storage/sample_set.h"

namespace paddock::data {

using SampleSetPtr = std::shared_ptr<const storage::SampleSet>;

struct SourceOptions {
  storage::fs::path index_dir = {};  // for the indexes of tars in folders that cannot be written
  // This caller is `part` of `parts` that open the same source at the same time (see storage::TarSetOptions).
  std::uint64_t part = 0;
  std::uint64_t parts = 1;
  int threads = 16;  // that look at files
  storage::Patience patience = {};
  std::function<void(std::uint64_t done, std::uint64_t tars)> progress = {};
};

struct Source {
  SampleSetPtr set;  // not empty
  // For a log: "1234 pictures in 5 tar files; 2 other files were passed over, the first: notes.txt".
  std::string about;
};

// `disk` must outlive the set. kInvalid, kNotFound: nothing to learn from is there; says what was looked for.
// Others as the sets' own.
Result<Source> open_source(storage::Disk& disk, const storage::fs::path& path, const SourceOptions& options);

struct SplitOptions {
  std::string data;            // what is learnt from
  std::string data_test = {};  // what is held out; empty: see below
  double heldout_fraction =
      0;  // of data's pictures, drawn by data/subset.h; > 0: goes before data's own test/
  bool needs_test = false;
  std::string or_else = {};  // what else may be done where that is missing: "set run.heldout_every to 0"
  SourceOptions source = {};
};

struct Splits {
  SampleSetPtr train;
  SampleSetPtr test;               // null: not needed
  std::vector<std::string> about;  // "train: …"
};

// kInvalid also: a test split is needed, and there is none; data_test and heldout_fraction at once; a part
// without pictures.
Result<Splits> open_splits(storage::Disk& disk, const SplitOptions& options);

}  // namespace paddock::data
