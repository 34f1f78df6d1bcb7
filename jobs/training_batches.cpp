#include "jobs/training_batches.h"

#include <algorithm>
#include <numeric>

#include "base/random.h"

namespace paddock::jobs {
namespace {

data::MultiCropOptions view_options(const spec::CropsSpec& crops, const spec::AugmentSpec& augment) {
  data::MultiCropOptions views;
  views.global_size = static_cast<int>(crops.global_size);
  views.local_size = static_cast<int>(crops.local_size);
  views.global_scale_min = crops.global_scale[0];
  views.global_scale_max = crops.global_scale[1];
  views.local_scale_min = crops.local_scale[0];
  views.local_scale_max = crops.local_scale[1];
  views.flip_probability = augment.flip_probability;
  views.jitter_probability = augment.color ? augment.color_probability : 0;
  views.brightness = augment.brightness;
  views.contrast = augment.contrast;
  views.saturation = augment.saturation;
  views.hue = augment.hue;
  views.grayscale_probability = augment.color ? augment.grayscale_probability : 0;
  views.solarize_probability = augment.color ? augment.solarize_probability : 0;
  if (augment.blur != "official-effective") {
    const bool is_declared = augment.blur == "as-declared";
    views.blur_probability_global_1 = is_declared ? 1 : 0;
    views.blur_probability_global_2 = is_declared ? .1 : 0;
    views.blur_probability_local = is_declared ? .5 : 0;
  }
  return views;
}

}  // namespace

std::int64_t local_crops(const TrainingPlan& plan) {
  return plan.loss.dino_weight > 0 ? plan.crops.local_count : 0;
}

data::LoaderOptions loader_options(const TrainingPlan& plan, model::Range own) {
  data::LoaderOptions options;
  options.views = view_options(plan.crops, plan.augment);
  options.views.num_local = static_cast<int>(local_crops(plan));
  options.views.normalization = plan.normalization;
  options.global_batch = plan.batch_size;
  options.virtual_shards = static_cast<int>(plan.shards);
  options.first_shard = static_cast<int>(own.begin);
  options.last_shard = static_cast<int>(own.end);
  options.seed = plan.seed;
  options.threads = static_cast<int>(plan.run.loader_threads);
  options.cache_bytes = static_cast<std::uint64_t>(plan.run.cache_megabytes) << 20;
  options.patch_size = static_cast<int>(plan.student.backbone.patch_size);
  options.mask_probability = plan.mask_probability;
  options.mask_ratio_min = plan.mask_ratio[0];
  options.mask_ratio_max = plan.mask_ratio[1];
  return options;
}

TrainingBatch to_tensors(data::Batch batch, const TrainingPlan& plan, torch::Device device) {
  TrainingBatch result{std::move(batch), {}};
  data::Batch& plain = result.plain;
  const std::int64_t images = static_cast<std::int64_t>(plain.positions.size());
  const std::int64_t global = plan.crops.global_size, local = plan.crops.local_size;
  const std::int64_t side = global / plan.student.backbone.patch_size, patches = side * side;
  const std::int64_t channels = plan.normalization.channels();
  model::CropBatch& crops = result.crops;
  crops.globals =
      torch::from_blob(plain.globals.data(), {2 * images, channels, global, global}, torch::kFloat32)
          .to(device);
  if (const std::int64_t count = local_crops(plan); count > 0)
    crops.locals =
        torch::from_blob(plain.locals.data(), {count * images, channels, local, local}, torch::kFloat32)
            .to(device);
  if (plan.loss.ibot_weight == 0) return result;  // nothing is hidden, and no patch is looked at
  if (plan.mask_probability > 0) {
    const auto masked = static_cast<std::int64_t>(plain.mask_indices.size());
    crops.masks_2BN = torch::from_blob(plain.masks.data(), {2 * images, patches}, torch::kBool).to(device);
    crops.patches_M = torch::from_blob(plain.mask_indices.data(), {masked}, torch::kInt64);
    crops.patch_weights_M = torch::from_blob(plain.mask_weights.data(), {masked}, torch::kFloat32).to(device);
  } else {
    crops.patches_M = torch::arange(2 * images * patches, torch::kInt64);
    crops.patch_weights_M = torch::full({2 * images * patches}, 1.0 / static_cast<double>(patches),
                                        torch::TensorOptions().dtype(torch::kFloat32).device(device));
  }
  return result;
}

std::vector<TrainingBatch> next_batches(data::Loader& loader, const TrainingPlan& plan, model::Range own,
                                        torch::Device device) {
  std::vector<TrainingBatch> batches;
  for (std::int64_t shard = own.begin; shard < own.end; ++shard)
    batches.push_back(to_tensors(loader.next(), plan, device));
  return batches;
}

model::KeptSamples kept_samples(std::uint64_t seed, std::int64_t step, std::int64_t shard) {
  return [=](std::int64_t block, int branch, std::int64_t group, std::int64_t batch, std::int64_t kept) {
    const auto lane = static_cast<std::uint32_t>(shard) << 16 | static_cast<std::uint32_t>(block) << 4 |
                      static_cast<std::uint32_t>(branch) << 3 | static_cast<std::uint32_t>(group);
    Draws draws(seed, static_cast<std::uint64_t>(step), Purpose::kDropPath, lane);
    std::vector<std::int64_t> samples(static_cast<std::size_t>(batch));
    std::iota(samples.begin(), samples.end(), 0);
    for (std::size_t i = 0; i < static_cast<std::size_t>(kept); ++i)  // the front of a Fisher–Yates shuffle
      std::swap(samples[i], samples[i + draws.below(static_cast<std::uint64_t>(batch) - i)]);
    samples.resize(static_cast<std::size_t>(kept));
    std::sort(samples.begin(), samples.end());
    return samples;
  };
}

}  // namespace paddock::jobs
