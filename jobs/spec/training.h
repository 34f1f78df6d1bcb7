// jobs/spec/training.h – options that pretrain and distill share: what is learnt from, in what views, by which schedule.
// All lengths of a run are in steps; a step takes `batch_size` pictures over all ranks together.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "jobs/spec/option_table.h"

namespace paddock::spec {

struct BackboneSpec {
  std::string arch = "vit_small";  // vit_tiny, vit_small, vit_base, vit_large, vit_giant2, or custom
  std::int64_t embed_dim = 384;    // width; these three count for arch custom and are set by every other
  std::int64_t depth = 12;         // blocks
  std::int64_t heads = 6;
  std::int64_t patch_size = 14;  // pixels. Smaller: finer features, quadratically slower
  std::int64_t registers = 0;    // extra tokens; 4 keeps large models' attention maps clean
  std::string ffn = "mlp";       // mlp or swiglu
  double layerscale = 1e-5;      // initial gain of each branch; 0: none
  double drop_path = 0;          // share of samples that skip a branch (stochastic depth)
  std::int64_t channels = 3;     // of a picture: 1 luma, 3 RGB, 4 RGB and opacity
  // Values in [0, 1] go in as (value − pixel_mean) / pixel_std, a number a channel. Empty: ImageNet's, see
  // data/normalization.h; of a student its teacher's.
  std::vector<double> pixel_mean;
  std::vector<double> pixel_std;
};

struct CropsSpec {
  std::int64_t global_size = 224;  // pixels, a multiple of patch_size
  std::int64_t local_size = 98;
  std::int64_t local_count = 8;                   // More: richer signal a picture, slower
  std::vector<double> global_scale = {.32, 1.0};  // share of the picture's area, least and most
  std::vector<double> local_scale = {.05, .32};
};

struct AugmentSpec {
  bool color = true;  // jitter, grey and solarize
  double brightness = .4;
  double contrast = .4;
  double saturation = .2;
  double hue = .1;
  double color_probability = .8;
  double grayscale_probability = .2;
  double solarize_probability = .2;
  double flip_probability = .5;
  // official-effective: the probabilities that the published models were trained with; as-declared: those that the
  // published code says; none.
  std::string blur = "official-effective";
};

struct HeadSpec {
  std::int64_t prototypes = 65'536;
  std::int64_t hidden = 2'048;
  std::int64_t bottleneck = 256;
  std::int64_t layers = 3;
};

struct HeadsSpec {
  HeadSpec dino;
  bool is_separate = false;  // a head of their own for patches; else they go through the dino head
  HeadSpec ibot;             // counts when is_separate
};

struct LossSpec {
  double dino_weight = 1;
  double ibot_weight = 1;
  double koleo_weight = .1;                  // More: features spread more evenly
  std::string centering = "sinkhorn_knopp";  // or softmax
};

struct ScheduleSpec {
  std::int64_t steps = 125'000;
  std::int64_t warmup_steps = 12'500;
  double base_lr = 4e-3;  // for a batch of 1024; scaled by √(batch/1024)
  double min_lr = 1e-6;
  double weight_decay_start = .04;
  double weight_decay_end = .4;
  double momentum_start = .992;  // of the averaged model, by half a cosine to 1
  double teacher_temperature_start = .04;
  double teacher_temperature_end = .07;
  std::int64_t teacher_temperature_steps = 37'500;
  std::int64_t freeze_last_layer_steps = 1'250;
  double clip = 3;              // gradient norm of each network; 0: never clipped
  double layerwise_decay = .9;  // learning rate of a block against the one above it
  double patch_embed_lr_mult = .2;
};

struct RunSpec {
  std::string precision = "auto";         // fp32, bf16, or auto: bf16 where the machine is faster with it
  std::string device = "auto";            // cpu, cuda, or auto
  std::int64_t checkpoint_every = 1'250;  // steps. Less: less is lost at a kill, more is written
  std::int64_t keep_checkpoints = 3;
  std::int64_t keep_every =
      0;  // steps: checkpoints at multiples stay for good; 0: none. The best always stays
  // Training goes on so long while the disk takes no checkpoint; then the attempt ends. 0: at once.
  std::int64_t unsaved_seconds = 3'600;
  std::int64_t heldout_every = 1'250;  // steps between losses on the test split; 0: never
  std::int64_t heldout_batches = 4;    // of the test split, at most
  std::int64_t knn_every = 1'250;      // steps between k-NN of held-out pictures that have labels; 0: never
  std::int64_t health_every = 50;      // steps between looks at targets and features for collapse; 0: never
  std::int64_t hang_seconds = 600;     // for one phase of a step, then the rank is ended; 0: never
  // Without a sign of life of a rank that others wait for, then they end; 0: as long as hang_seconds.
  std::int64_t silent_seconds = 15;
  // Keep each block's input alone for the backward pass and run the block again there: the same bits, less memory, slower.
  bool activation_checkpointing = false;
  // Of student and average: whole, all float32 values on every rank, or sliced, a slice of them on each and bfloat16 copies of the
  // others', see jobs/pupil.h. Less memory from two ranks on; bf16 alone; on a CPU slower, in other bits.
  std::string weights = "whole";
  std::int64_t loader_threads = 1;       // a rank; changes nothing but speed
  std::int64_t cache_megabytes = 1'024;  // decoded pictures kept in memory, a rank
};

OptionTable<BackboneSpec> backbone_table();
OptionTable<CropsSpec> crops_table();
OptionTable<AugmentSpec> augment_table();
OptionTable<HeadsSpec> heads_table();
OptionTable<LossSpec> loss_table();
OptionTable<ScheduleSpec> schedule_table();
OptionTable<RunSpec> run_table();

// What no part can see alone: sizes against the patch, warm-up against the length.
void check_training(const BackboneSpec& backbone, const std::string& backbone_key, const CropsSpec& crops,
                    const ScheduleSpec& schedule, std::int64_t batch_size, std::int64_t shards,
                    Problems& problems);

// What is held out is said in one way.
void check_held_out(const std::string& data_test, double heldout_fraction, Problems& problems);

// The number of virtual shards of a run: `shards` when given; 0: the most of 8, 4, 2 that leave each 16 pictures, else the
// most of 4, 2 that leave each two, else 1. Depends on nothing but the spec.
std::int64_t resolved_shards(std::int64_t shards, std::int64_t batch_size);

// embed_dim, depth and heads of a named arch filled in.
BackboneSpec resolved(BackboneSpec backbone);

}  // namespace paddock::spec
