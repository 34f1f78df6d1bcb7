// jobs/spec/curate.h – what a `curate` job may be asked: a folder of pictures in, a dataset out.
// The stages, in order: list and hash · decode, shrink, describe · exact duplicates · near duplicates ·
// held-out split by content · selection around seeds and clusters · shards. Every similarity is a cosine of
// embeddings; thresholds belong to the embedding and are to be set again with another one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "jobs/spec/option_table.h"

namespace paddock::spec {

struct CurateDecode {
  std::int64_t max_side = 128;            // pixels; pictures are shrunk to this short side, never enlarged
  std::int64_t min_side = 16;             // pixels; smaller ones are refused
  std::int64_t pixels_max = 100'000'000;  // from the header, before decoding; larger ones are refused
  double aspect_max = 8;                  // longer side / shorter side; beyond it a picture is refused
  bool keep_alpha = false;                // the fourth channel stays in the dataset, for networks of four
};

struct CurateDuplicates {
  double threshold = .97;  // this similar or more: one of them is kept. Lower: fewer, more different pictures
  std::string linkage =
      "star";  // star: every dropped one is similar to the kept one; components: chains count
};

struct CurateHeldOut {
  double share = .15;           // expected share of the pictures kept for testing
  double group = .92;           // this similar or more: on the same side of the split
  double leak = .95;            // train pictures this similar to a test picture are dropped with their group
  std::int64_t group_max = 40;  // groups with more pictures stay in train
};

struct CurateSelection {
  std::vector<std::string> seeds;      // folders below the pool; none: everything is kept
  std::int64_t neighbours = 8;         // kept for each seed picture
  std::int64_t clusters = 0;           // of the pictures outside the test set; 0: no cluster-based part
  std::int64_t cluster_seeds_min = 3;  // a cluster gives pictures when it holds as many seeds
  std::int64_t per_cluster = 64;       // and at most so many. More: closer to the pool's own proportions
};

struct CurateOptions {
  std::string pool;       // the folder, walked in sorted order
  std::int64_t seed = 0;  // of every draw: split, clusters, order
  std::string model;      // checkpoint folder whose class token embeds; empty: the hand-made descriptor
  CurateDecode decode;
  CurateDuplicates duplicates;
  CurateHeldOut held_out;
  CurateSelection selection;
  std::vector<std::string> classes;     // top-level folders that are labels; empty: all that are large enough
  std::int64_t min_class = 60;          // pictures; smaller classes carry no label
  std::int64_t shard_bytes = 64 << 20;  // a shard file is closed before it grows past this
};

const OptionTable<CurateOptions>& curate_table();

}  // namespace paddock::spec
