#include "jobs/spec/curate.h"

namespace paddock::spec {
namespace {

OptionTable<CurateDecode> decode_table() {
  return OptionTable<CurateDecode>()
      .optional("max_side", &CurateDecode::max_side, Between{16, 4096},
                "pixels: pictures are shrunk to this short side; larger keeps more detail and more disk")
      .optional("min_side", &CurateDecode::min_side, Between{1, 4096}, "pixels: a shorter side is refused")
      .optional("pixels_max", &CurateDecode::pixels_max, Between{1, 1'000'000'000},
                "refused from the header when it has more; bounds memory and time")
      .optional("aspect_max", &CurateDecode::aspect_max, Between{1, 1000},
                "longer side / shorter side; beyond it is refused")
      .optional("keep_alpha", &CurateDecode::keep_alpha,
                "keep a fourth channel and the colours under it, for networks of 4 channels; false: lay "
                "pictures on white");
}

OptionTable<CurateDuplicates> duplicates_table() {
  return OptionTable<CurateDuplicates>()
      .optional("threshold", &CurateDuplicates::threshold, Between{-1.0, 1.01},
                "cosine: of pictures this similar one is kept; above 1 keeps all")
      .optional("linkage", &CurateDuplicates::linkage, OneOf{"star", "components"},
                "star: each dropped one is similar to the kept one; components: chains of similar ones are "
                "one group");
}

OptionTable<CurateHeldOut> held_out_table() {
  return OptionTable<CurateHeldOut>()
      .optional("share", &CurateHeldOut::share, Between{0.0, 0.9},
                "expected share of the pictures kept for testing")
      .optional("group", &CurateHeldOut::group, Between{-1.0, 1.01},
                "cosine: pictures this similar stay on one side")
      .optional("leak", &CurateHeldOut::leak, Between{-1.0, 1.01},
                "cosine: train pictures this similar to a test picture are dropped with their group")
      .optional("group_max", &CurateHeldOut::group_max, Between{1, 1'000'000'000},
                "pictures: larger groups stay in train, so that no motif fills the test set");
}

OptionTable<CurateSelection> selection_table() {
  return OptionTable<CurateSelection>()
      .optional("seeds", &CurateSelection::seeds,
                "folders below the pool to gather around; none keeps everything")
      .optional("neighbours", &CurateSelection::neighbours, Between{0, 100'000}, "kept for each seed picture")
      .optional("clusters", &CurateSelection::clusters, Between{0, 100'000},
                "number of clusters; 0 does without")
      .optional("cluster_seeds_min", &CurateSelection::cluster_seeds_min, Between{0, 1'000'000},
                "seed pictures that make a cluster give pictures")
      .optional("per_cluster", &CurateSelection::per_cluster, Between{1, 1'000'000'000},
                "most pictures one cluster gives");
}

OptionTable<CurateOptions> make_table() {
  return OptionTable<CurateOptions>()
      .required("pool", &CurateOptions::pool, "folder of pictures, walked in sorted order")
      .optional("seed", &CurateOptions::seed, "of every draw: split, clusters, order")
      .optional("model", &CurateOptions::model,
                "checkpoint folder whose class token embeds; empty: a descriptor made by hand")
      .group("decode", &CurateOptions::decode, decode_table(),
             "which pictures are taken and how large they are kept")
      .group("duplicates", &CurateOptions::duplicates, duplicates_table(), "near duplicates")
      .group("held_out", &CurateOptions::held_out, held_out_table(), "the test split, made by content")
      .group("selection", &CurateOptions::selection, selection_table(), "what of the rest is trained on")
      .optional("classes", &CurateOptions::classes,
                "top-level folders that are labels; empty: all that are large enough")
      .optional("min_class", &CurateOptions::min_class, Between{1, 1'000'000'000},
                "pictures: smaller classes carry no label")
      .optional("shard_bytes", &CurateOptions::shard_bytes,
                Between{std::int64_t{1} << 16, std::int64_t{1} << 33},
                "a shard file is closed before it grows past this")
      .check([](const CurateOptions& options, Problems& problems) {
        if (options.decode.min_side > options.decode.max_side)
          problems.push_back({"decode.min_side", "is larger than decode.max_side"});
        if (options.pool.empty()) problems.push_back({"pool", "is empty, must be a folder of pictures"});
      });
}

}  // namespace

const OptionTable<CurateOptions>& curate_table() {
  static const OptionTable<CurateOptions> table = make_table();
  return table;
}

}  // namespace paddock::spec
