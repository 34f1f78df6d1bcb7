#include "jobs/spec/pretrain.h"

#include <utility>

namespace paddock::spec {
namespace {

// Of a backbone that comes from somewhere, all but this is given.
OptionTable<BackboneSpec> drop_path_table() {
  return OptionTable<BackboneSpec>().optional("drop_path", &BackboneSpec::drop_path, Between{0.0, 0.99},
                                              "share of samples that skip a branch (stochastic depth)");
}

// What both kinds have: `table` has what they differ in.
OptionTable<PretrainOptions> with_common_options(OptionTable<PretrainOptions> table) {
  return std::move(table)
      .required(
          "data", &PretrainOptions::data,
          "what is learnt from: dataset folder, folder of pictures or tar files, tar file, list of paths")
      .optional("data_test", &PretrainOptions::data_test,
                "what is held out, in the same forms; empty: the test/ in data")
      .optional("heldout_fraction", &PretrainOptions::heldout_fraction, Between{0.0, 0.5},
                "share of the pictures to learn from that is held out instead")
      .optional("batch_size", &PretrainOptions::batch_size, Between{2, 1'000'000},
                "pictures a step over all ranks")
      .optional(
          "shards", &PretrainOptions::shards, Between{0, 1'024},
          "parts of a batch computed apart; any number of ranks up to it gives the same bits; 0: chosen")
      .optional("seed", &PretrainOptions::seed, Between{0, 2'147'483'647}, "of everything drawn")
      .group("crops", &PretrainOptions::crops, crops_table(), "views of a picture")
      .group("augment", &PretrainOptions::augment, augment_table(), "how views are changed")
      .group("heads", &PretrainOptions::heads, heads_table(), "projection heads")
      .group("loss", &PretrainOptions::loss, loss_table(), "losses")
      .group("schedule", &PretrainOptions::schedule, schedule_table(), "what changes over the run")
      .group("run", &PretrainOptions::run, run_table(), "how it is carried out")
      .optional("mask_probability", &PretrainOptions::mask_probability, Between{0.0, 1.0},
                "share of global crops with hidden patches")
      .optional("mask_ratio", &PretrainOptions::mask_ratio, Between{0.0, 1.0},
                "of their patches, least and most")
      .check([](const PretrainOptions& options, Problems& problems) {
        check_held_out(options.data_test, options.heldout_fraction, problems);
        if (options.mask_ratio.size() != 2 || options.mask_ratio[0] > options.mask_ratio[1])
          problems.push_back({"mask_ratio", "must be two numbers, least and most"});
      });
}

OptionTable<PretrainOptions> make_pretrain_table() {
  return with_common_options(OptionTable<PretrainOptions>().group("backbone", &PretrainOptions::backbone,
                                                                  backbone_table(), "the network"))
      .check([](const PretrainOptions& options, Problems& problems) {
        check_training(options.backbone, "backbone", options.crops, options.schedule, options.batch_size,
                       options.shards, problems);
      });
}

OptionTable<PretrainOptions> make_adapt_table() {
  return with_common_options(
             OptionTable<PretrainOptions>()
                 .required("from", &PretrainOptions::from,
                           "checkpoint folder of a run, or a file or folder of anybody's weights")
                 .optional("head_warmup_steps", &PretrainOptions::head_warmup_steps, Between{0, 100'000'000},
                           "at the start in which only the heads learn: for weights that come without them")
                 .group("backbone", &PretrainOptions::backbone, drop_path_table(), "the rest is as it was"))
      .check([](const PretrainOptions& options, Problems& problems) {
        BackboneSpec any;  // its patch size is known when the weights are
        any.patch_size = 1;
        check_training(any, "backbone", options.crops, options.schedule, options.batch_size, options.shards,
                       problems);
      });
}

}  // namespace

const OptionTable<PretrainOptions>& pretrain_table() {
  static const OptionTable<PretrainOptions> table = make_pretrain_table();
  return table;
}

const OptionTable<PretrainOptions>& adapt_table() {
  static const OptionTable<PretrainOptions> table = make_adapt_table();
  return table;
}

}  // namespace paddock::spec
