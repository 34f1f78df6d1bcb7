#include "jobs/spec/training.h"

#include <map>

namespace paddock::spec {
namespace {

struct Size {
  std::int64_t embed_dim, depth, heads;
};

const std::map<std::string, Size>& sizes() {
  static const std::map<std::string, Size> sizes{{"vit_tiny", {192, 12, 3}},
                                                 {"vit_small", {384, 12, 6}},
                                                 {"vit_base", {768, 12, 12}},
                                                 {"vit_large", {1024, 24, 16}},
                                                 {"vit_giant2", {1536, 40, 24}}};
  return sizes;
}

OptionTable<HeadSpec> head_table() {
  return OptionTable<HeadSpec>()
      .optional("prototypes", &HeadSpec::prototypes, Between{2, 4'194'304}, "what features are assigned to")
      .optional("hidden", &HeadSpec::hidden, Between{1, 65'536}, "width of the head's MLP")
      .optional("bottleneck", &HeadSpec::bottleneck, Between{1, 65'536}, "width before the prototypes")
      .optional("layers", &HeadSpec::layers, Between{1, 8}, "linear layers of the MLP");
}

Rule<std::int64_t> channels_rule() {
  Rule<std::int64_t> rule;
  rule.allowed = "1 (luma), 3 (RGB) or 4 (RGB and opacity)";
  rule.schema = Json{{"type", "integer"}, {"enum", Json::array({1, 3, 4})}};
  rule.read = [](const Json& json) -> std::optional<std::int64_t> {
    if (!json.is_number_integer()) return std::nullopt;
    const auto channels = json.get<std::int64_t>();
    return channels == 1 || channels == 3 || channels == 4 ? std::optional(channels) : std::nullopt;
  };
  return rule;
}

void check_pixels(const BackboneSpec& backbone, Problems& problems) {
  for (const auto& [key, values] :
       {std::pair("pixel_mean", &backbone.pixel_mean), std::pair("pixel_std", &backbone.pixel_std)}) {
    if (values->empty() ? backbone.pixel_mean.empty() == backbone.pixel_std.empty()
                        : static_cast<std::int64_t>(values->size()) == backbone.channels)
      continue;
    problems.push_back({key, "has " + std::to_string(values->size()) + " numbers, must have one a channel (" +
                                 std::to_string(backbone.channels) +
                                 "), or be left out together with the other of pixel_mean and pixel_std"});
  }
}

void check_scale(const std::vector<double>& scale, const char* key, Problems& problems) {
  if (scale.size() != 2 || scale[0] > scale[1] || scale[0] <= 0)
    problems.push_back({key, "must be two numbers, least and most, in (0, 1]"});
}

}  // namespace

BackboneSpec resolved(BackboneSpec backbone) {
  if (const auto it = sizes().find(backbone.arch); it != sizes().end()) {
    backbone.embed_dim = it->second.embed_dim;
    backbone.depth = it->second.depth;
    backbone.heads = it->second.heads;
  }
  return backbone;
}

OptionTable<BackboneSpec> backbone_table() {
  return OptionTable<BackboneSpec>()
      .optional("arch", &BackboneSpec::arch,
                OneOf{"vit_tiny", "vit_small", "vit_base", "vit_large", "vit_giant2", "custom"},
                "named size; custom: embed_dim, depth and heads count")
      .optional("embed_dim", &BackboneSpec::embed_dim, Between{8, 16'384},
                "width, with arch custom; a multiple of heads")
      .optional("depth", &BackboneSpec::depth, Between{1, 256}, "blocks, with arch custom")
      .optional("heads", &BackboneSpec::heads, Between{1, 256}, "attention heads, with arch custom")
      .optional("patch_size", &BackboneSpec::patch_size, Between{2, 64},
                "pixels; smaller is finer and quadratically slower")
      .optional("registers", &BackboneSpec::registers, Between{0, 64}, "register tokens")
      .optional("ffn", &BackboneSpec::ffn, OneOf{"mlp", "swiglu"}, "feed-forward of a block")
      .optional("layerscale", &BackboneSpec::layerscale, Between{0.0, 10.0},
                "initial gain of each branch; 0: none")
      .optional("drop_path", &BackboneSpec::drop_path, Between{0.0, 0.95},
                "share of samples that skip a branch")
      .optional("channels", &BackboneSpec::channels, channels_rule(),
                "of a picture: 1 luma, 3 RGB, 4 RGB and opacity")
      .optional(
          "pixel_mean", &BackboneSpec::pixel_mean, Between{0.0, 1.0},
          "taken from values in [0, 1], a number a channel; empty: ImageNet's, of a student its teacher's")
      .optional("pixel_std", &BackboneSpec::pixel_std, Positive{},
                "what they are divided by then, a number a channel; empty as pixel_mean")
      .check([](const BackboneSpec& backbone, Problems& problems) {
        check_pixels(backbone, problems);
        if (backbone.arch == "custom" && backbone.embed_dim % backbone.heads != 0)
          problems.push_back({"embed_dim", "is " + std::to_string(backbone.embed_dim) +
                                               ", must be a multiple of heads (" +
                                               std::to_string(backbone.heads) + ")"});
      });
}

OptionTable<CropsSpec> crops_table() {
  return OptionTable<CropsSpec>()
      .optional("global_size", &CropsSpec::global_size, Between{8, 2'048},
                "pixels; a multiple of the patch size")
      .optional("local_size", &CropsSpec::local_size, Between{8, 2'048},
                "pixels; a multiple of the patch size")
      .optional("local_count", &CropsSpec::local_count, Between{0, 64}, "local crops of a picture")
      .optional("global_scale", &CropsSpec::global_scale, Between{0.0, 1.0},
                "share of the picture's area, least and most")
      .optional("local_scale", &CropsSpec::local_scale, Between{0.0, 1.0},
                "share of the picture's area, least and most")
      .check([](const CropsSpec& crops, Problems& problems) {
        check_scale(crops.global_scale, "global_scale", problems);
        check_scale(crops.local_scale, "local_scale", problems);
      });
}

OptionTable<AugmentSpec> augment_table() {
  const Between share{0.0, 1.0};
  return OptionTable<AugmentSpec>()
      .optional("color", &AugmentSpec::color, "colour jitter, grey and solarize at all")
      .optional("brightness", &AugmentSpec::brightness, share, "strength of the jitter")
      .optional("contrast", &AugmentSpec::contrast, share, "strength of the jitter")
      .optional("saturation", &AugmentSpec::saturation, share, "strength of the jitter")
      .optional("hue", &AugmentSpec::hue, Between{0.0, 0.5}, "strength of the jitter")
      .optional("color_probability", &AugmentSpec::color_probability, share, "of the jitter")
      .optional("grayscale_probability", &AugmentSpec::grayscale_probability, share, "of grey")
      .optional("solarize_probability", &AugmentSpec::solarize_probability, share,
                "of solarize, second global crop")
      .optional("flip_probability", &AugmentSpec::flip_probability, share, "of mirroring")
      .optional(
          "blur", &AugmentSpec::blur, OneOf{"official-effective", "as-declared", "none"},
          "official-effective: 0, .9, .5 for first, second and local crops, as the published models were "
          "trained; as-declared: 1, .1, .5, as their code says");
}

OptionTable<HeadsSpec> heads_table() {
  return OptionTable<HeadsSpec>()
      .group("dino", &HeadsSpec::dino, head_table(), "head of the class tokens")
      .optional("separate", &HeadsSpec::is_separate, "patches have a head of their own")
      .group("ibot", &HeadsSpec::ibot, head_table(), "head of the patches, when separate");
}

OptionTable<LossSpec> loss_table() {
  const Between weight{0.0, 100.0};
  return OptionTable<LossSpec>()
      .optional("dino_weight", &LossSpec::dino_weight, weight,
                "of the class tokens' loss; 0: iBOT alone, without local crops")
      .optional("ibot_weight", &LossSpec::ibot_weight, weight,
                "of the patches' loss; 0: DINO alone, and nothing is hidden")
      .optional("koleo_weight", &LossSpec::koleo_weight, weight, "of the spreading regulariser")
      .optional("centering", &LossSpec::centering, OneOf{"sinkhorn_knopp", "softmax"},
                "how the teacher's targets are balanced")
      .check([](const LossSpec& loss, Problems& problems) {
        if (loss.dino_weight == 0 && loss.ibot_weight == 0)
          problems.push_back({"dino_weight", "is 0 and so is ibot_weight: nothing would be learnt"});
      });
}

OptionTable<ScheduleSpec> schedule_table() {
  const Between steps{0, 100'000'000};
  return OptionTable<ScheduleSpec>()
      .optional("steps", &ScheduleSpec::steps, Between{1, 100'000'000}, "length of the run")
      .optional("warmup_steps", &ScheduleSpec::warmup_steps, steps, "of the learning rate, from 0")
      .optional("base_lr", &ScheduleSpec::base_lr, Positive{},
                "for a batch of 1024; scaled by the square root")
      .optional("min_lr", &ScheduleSpec::min_lr, Between{0.0, 1.0}, "at the end")
      .optional("weight_decay_start", &ScheduleSpec::weight_decay_start, Between{0.0, 10.0}, "at the start")
      .optional("weight_decay_end", &ScheduleSpec::weight_decay_end, Between{0.0, 10.0}, "at the end")
      .optional("momentum_start", &ScheduleSpec::momentum_start, Between{0.0, 1.0},
                "of the averaged model; 1 at the end")
      .optional("teacher_temperature_start", &ScheduleSpec::teacher_temperature_start, Positive{},
                "at the start")
      .optional("teacher_temperature_end", &ScheduleSpec::teacher_temperature_end, Positive{},
                "after the warm-up")
      .optional("teacher_temperature_steps", &ScheduleSpec::teacher_temperature_steps, steps,
                "of the warm-up")
      .optional("freeze_last_layer_steps", &ScheduleSpec::freeze_last_layer_steps, steps,
                "in which prototypes stay")
      .optional("clip", &ScheduleSpec::clip, Between{0.0, 1e6},
                "largest gradient norm of each network; 0: any")
      .optional("layerwise_decay", &ScheduleSpec::layerwise_decay, Between{0.01, 1.0},
                "learning rate, block to block")
      .optional("patch_embed_lr_mult", &ScheduleSpec::patch_embed_lr_mult, Between{0.0, 10.0},
                "of the patch embedding");
}

OptionTable<RunSpec> run_table() {
  return OptionTable<RunSpec>()
      .optional("precision", &RunSpec::precision, OneOf{"auto", "fp32", "bf16"}, "of the matrix products")
      .optional("device", &RunSpec::device, OneOf{"auto", "cpu", "cuda"},
                "auto: the GPU when this rank was given one")
      .optional("checkpoint_every", &RunSpec::checkpoint_every, Between{1, 100'000'000}, "steps")
      .optional("keep_checkpoints", &RunSpec::keep_checkpoints, Between{2, 1'000},
                "newest ones that are not removed; the one with the least held-out loss stays too")
      .optional("keep_every", &RunSpec::keep_every, Between{0, 100'000'000},
                "steps: checkpoints at multiples of it are never removed; 0: none")
      .optional("unsaved_seconds", &RunSpec::unsaved_seconds, Between{0, 10'000'000},
                "that training goes on while the disk takes no checkpoint (full, read-only, failing); then "
                "the attempt ends")
      .optional("heldout_every", &RunSpec::heldout_every, Between{0, 100'000'000},
                "steps between losses on the test split")
      .optional("heldout_batches", &RunSpec::heldout_batches, Between{1, 1'000}, "of the test split, at most")
      .optional("knn_every", &RunSpec::knn_every, Between{0, 100'000'000},
                "steps between k-NN of at most 1,000 held-out pictures among 2,000 learnt from, where both "
                "have labels; "
                "0: never")
      .optional("health_every", &RunSpec::health_every, Between{0, 100'000'000},
                "steps between looks at targets and features for collapse; 0: never")
      .optional("hang_seconds", &RunSpec::hang_seconds, Between{0, 1'000'000},
                "that one phase of a step may take before the rank is ended; 0: any")
      .optional("silent_seconds", &RunSpec::silent_seconds, Between{0, 1'000'000},
                "that a rank which the others wait for may give no sign of life (stopped, cut off) before "
                "they end; 0: as long as "
                "hang_seconds")
      .optional("activation_checkpointing", &RunSpec::activation_checkpointing,
                "keep each block's input alone for the backward pass and run the block again there: the same "
                "bits, less memory, about a fifth slower")
      .optional(
          "weights", &RunSpec::weights, OneOf{"whole", "sliced"},
          "of student and average on a rank: whole, in float32, or sliced, a rank's slice of that and bf16 "
          "copies of all: less memory, the same bits on a GPU; only with bf16, on a CPU slower")
      .optional("loader_threads", &RunSpec::loader_threads, Between{0, 256}, "that make views, a rank")
      .optional("cache_megabytes", &RunSpec::cache_megabytes, Between{0, 1'000'000},
                "decoded pictures in memory, a rank")
      .check([](const RunSpec& run, Problems& problems) {
        if (run.weights == "sliced" && run.precision == "fp32")
          problems.push_back({"weights",
                              "is sliced, which computes in bf16 alone, and precision is fp32: set "
                              "precision to bf16, or weights to whole"});
      });
}

void check_training(const BackboneSpec& backbone, const std::string& backbone_key, const CropsSpec& crops,
                    const ScheduleSpec& schedule, std::int64_t batch_size, std::int64_t shards,
                    Problems& problems) {
  const std::string patch =
      join_path(backbone_key, "patch_size") + " (" + std::to_string(backbone.patch_size) + ")";
  if (crops.global_size % backbone.patch_size != 0)
    problems.push_back({"crops.global_size",
                        "is " + std::to_string(crops.global_size) + ", must be a multiple of " + patch});
  if (crops.local_count > 0 && crops.local_size % backbone.patch_size != 0)
    problems.push_back(
        {"crops.local_size", "is " + std::to_string(crops.local_size) + ", must be a multiple of " + patch});
  if (schedule.warmup_steps >= schedule.steps)
    problems.push_back({"schedule.warmup_steps", "is " + std::to_string(schedule.warmup_steps) +
                                                     ", must be below schedule.steps (" +
                                                     std::to_string(schedule.steps) + ")"});
  if (batch_size % resolved_shards(shards, batch_size) != 0 ||
      batch_size / resolved_shards(shards, batch_size) < 2)
    problems.push_back({"batch_size", "is " + std::to_string(batch_size) +
                                          ", must be a multiple of shards (" + std::to_string(shards) +
                                          ") and at least two pictures each"});
}

void check_held_out(const std::string& data_test, double heldout_fraction, Problems& problems) {
  if (!data_test.empty() && heldout_fraction > 0)
    problems.push_back({"heldout_fraction", "must be 0 where data_test is given: both say what is held out"});
}

std::int64_t resolved_shards(std::int64_t shards, std::int64_t batch_size) {
  if (shards > 0) return shards;
  for (const std::int64_t pictures : {16, 2}) {
    for (const std::int64_t count : {8, 4, 2}) {
      const bool is_large = pictures == 2 && count == 8;  // so many shards of few pictures would only be slow
      if (!is_large && batch_size % count == 0 && batch_size / count >= pictures) return count;
    }
  }
  return 1;
}

}  // namespace paddock::spec
