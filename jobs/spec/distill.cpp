#include "jobs/spec/distill.h"

namespace paddock::spec {
namespace {

OptionTable<HeadSpec> student_head_table() {
  return OptionTable<HeadSpec>()
      .optional("hidden", &HeadSpec::hidden, Between{1, 65'536}, "width of the head's MLP")
      .optional("bottleneck", &HeadSpec::bottleneck, Between{1, 65'536}, "width before the prototypes")
      .optional("layers", &HeadSpec::layers, Between{1, 8}, "linear layers of the MLP");
}

OptionTable<DistillOptions> make_table() {
  return OptionTable<DistillOptions>()
      .required(
          "data", &DistillOptions::data,
          "what is learnt from: dataset folder, folder of pictures or tar files, tar file, list of paths")
      .optional("data_test", &DistillOptions::data_test,
                "what is held out, in the same forms; empty: the test/ in data")
      .optional("heldout_fraction", &DistillOptions::heldout_fraction, Between{0.0, 0.5},
                "share of the pictures to learn from that is held out instead")
      .required("teacher", &DistillOptions::teacher, "checkpoint folder of a pretraining run; stays as it is")
      .optional("batch_size", &DistillOptions::batch_size, Between{2, 1'000'000},
                "pictures a step over all ranks")
      .optional(
          "shards", &DistillOptions::shards, Between{0, 1'024},
          "parts of a batch computed apart; any number of ranks up to it gives the same bits; 0: chosen")
      .optional("seed", &DistillOptions::seed, Between{0, 2'147'483'647}, "of everything drawn")
      .group("student", &DistillOptions::student, backbone_table(), "the network that learns")
      .group("crops", &DistillOptions::crops, crops_table(), "views of a picture")
      .group("augment", &DistillOptions::augment, augment_table(), "how views are changed")
      .group("dino_head", &DistillOptions::dino_head, student_head_table(),
             "the student's head of class tokens")
      .group("ibot_head", &DistillOptions::ibot_head, student_head_table(),
             "its head of patches, where the teacher has one")
      .group("loss", &DistillOptions::loss, loss_table(), "losses")
      .group("schedule", &DistillOptions::schedule, schedule_table(), "what changes over the run")
      .group("run", &DistillOptions::run, run_table(), "how it is carried out")
      .check([](const DistillOptions& options, Problems& problems) {
        check_training(options.student, "student", options.crops, options.schedule, options.batch_size,
                       options.shards, problems);
        check_held_out(options.data_test, options.heldout_fraction, problems);
        if (options.student.drop_path != 0)
          problems.push_back({"student.drop_path", "must be 0: distillation uses no stochastic depth"});
      });
}

}  // namespace

const OptionTable<DistillOptions>& distill_table() {
  static const OptionTable<DistillOptions> table = make_table();
  return table;
}

}  // namespace paddock::spec
