#include "jobs/spec/pretrain.h"

namespace paddock::spec {
namespace {

OptionTable<PretrainOptions> make_table() {
  return OptionTable<PretrainOptions>()
      .required("data", &PretrainOptions::data, "dataset folder; train is learnt from, test is held out")
      .optional("batch_size", &PretrainOptions::batch_size, Between{2, 1'000'000},
                "pictures a step over all ranks")
      .optional("seed", &PretrainOptions::seed, Between{0, 2'147'483'647}, "of everything drawn")
      .group("backbone", &PretrainOptions::backbone, backbone_table(), "the network")
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
        check_training(options.backbone, "backbone", options.crops, options.schedule, options.batch_size,
                       problems);
        if (options.mask_ratio.size() != 2 || options.mask_ratio[0] > options.mask_ratio[1])
          problems.push_back({"mask_ratio", "must be two numbers, least and most"});
      });
}

}  // namespace

const OptionTable<PretrainOptions>& pretrain_table() {
  static const OptionTable<PretrainOptions> table = make_table();
  return table;
}

}  // namespace paddock::spec
