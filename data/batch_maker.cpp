#include "data/batch_maker.h"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "data/masking.h"

namespace paddock::data {
namespace {

constexpr std::uint64_t kReplacementsMax = 8;

void require(bool holds, const char* claim) {
  if (!holds) throw std::invalid_argument(std::string("loader options: ") + claim);
}

LoaderOptions checked(const storage::SampleSet& set, const LoaderOptions& options) {
  const MultiCropOptions& views = options.views;
  require(set.size() > 0, "the set has no samples");
  require(0 <= options.first_shard && options.first_shard < options.last_shard &&
              options.last_shard <= options.virtual_shards,
          "the range of virtual shards must lie in all of them and not be empty");
  require(options.global_batch > 0 && options.global_batch % options.virtual_shards == 0,
          "global_batch must be a positive multiple of virtual_shards");
  require(options.threads >= 0 && options.depth >= 1, "threads must be at least 0 and depth at least 1");
  require(options.patch_size > 0 && views.global_size > 0 && views.global_size % options.patch_size == 0,
          "global_size must be a positive multiple of patch_size");
  require(views.num_local >= 0 &&
              (views.num_local == 0 || (views.local_size > 0 && views.local_size % options.patch_size == 0)),
          "local_size must be a positive multiple of patch_size where there are local crops");
  if (const auto problem = problem_of(views.normalization))
    throw std::invalid_argument("loader options: normalization: " + *problem);
  require(options.mask_probability >= 0 && options.mask_probability <= 1,
          "mask_probability must be in [0, 1]");
  require(options.mask_ratio_min >= 0 && options.mask_ratio_min <= options.mask_ratio_max &&
              options.mask_ratio_max <= 1,
          "mask ratios must be ordered and in [0, 1]");
  return options;
}

// Of a view of size × size pixels.
std::size_t values_of(const MultiCropOptions& views, int size) {
  return static_cast<std::size_t>(size) * static_cast<std::size_t>(size) * views.normalization.mean.size();
}

// SplitMix64's finaliser: every bit of the input reaches every bit of the output.
std::uint64_t mixed(std::uint64_t value) {
  value += 0x9E3779B97F4A7C15u;
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
  return value ^ (value >> 31);
}

bool is_samples_fault(const Error& error) {
  return error.code == Code::kCorrupt || error.code == Code::kInvalid;
}

}  // namespace

BatchMaker::BatchMaker(const storage::SampleSet& set, const LoaderOptions& options)
    : options_(checked(set, options)),
      pictures_(static_cast<int>(options.global_batch / options.virtual_shards)),
      order_{set.size(), options.seed},
      source_(set, options.cache_bytes, options.views.normalization.channels(), options.patience) {}

Batch BatchMaker::begin(std::uint64_t step, int shard) const {
  const auto pictures = static_cast<std::size_t>(pictures_);
  const auto local = static_cast<std::size_t>(options_.views.num_local);
  Batch batch;
  batch.step = step;
  batch.shard = shard;
  batch.globals.resize(2 * pictures * values_of(options_.views, options_.views.global_size));
  batch.locals.resize(local * pictures * values_of(options_.views, options_.views.local_size));
  batch.indices.resize(pictures);
  const std::uint64_t first =
      step * static_cast<std::uint64_t>(options_.global_batch) + static_cast<std::uint64_t>(shard) * pictures;
  for (std::size_t i = 0; i < pictures; ++i) batch.positions.push_back(first + i);
  return batch;
}

void BatchMaker::make_picture(Batch& batch, int slot) const {
  const auto at = static_cast<std::size_t>(slot);
  const auto pictures = static_cast<std::size_t>(pictures_);
  const std::uint64_t position = batch.positions[at];
  const Chosen chosen = choose(order_.index(position));
  batch.indices[at] = chosen.index;
  for (int view = 0; view < 2 + options_.views.num_local; ++view) {
    const bool is_global = view < 2;
    const auto crop = static_cast<std::size_t>(is_global ? view : view - 2);
    Pixels& all = is_global ? batch.globals : batch.locals;
    const std::size_t values =
        values_of(options_.views, is_global ? options_.views.global_size : options_.views.local_size);
    make_view(*chosen.image, options_.views, options_.seed, position, view,
              all.data() + (crop * pictures + at) * values);
  }
}

void BatchMaker::make_masks(Batch& batch) const {
  const int side = options_.views.global_size / options_.patch_size;
  const MaskOptions options{side, side, options_.mask_probability, options_.mask_ratio_min,
                            options_.mask_ratio_max};
  MaskPlan plan =
      plan_masks(2 * pictures_, options, options_.seed, batch.step, static_cast<std::uint32_t>(batch.shard));
  batch.masks = std::move(plan.masks);
  batch.mask_indices = std::move(plan.indices);
  batch.mask_weights = std::move(plan.weights);
  batch.mask_indices_max = plan.indices_max;
}

void BatchMaker::finish(Batch& batch) const {
  std::uint64_t hash = 0;
  for (std::size_t i = 0; i < batch.positions.size(); ++i)
    hash = mixed(mixed(hash ^ batch.positions[i]) ^ batch.indices[i]);
  batch.samples_hash = hash;
}

BatchMaker::Chosen BatchMaker::choose(std::uint64_t index) const {
  const auto known = quarantined_.with([&](auto& all) -> std::optional<std::uint64_t> {
    const auto found = all.find(index);
    return found == all.end() ? std::nullopt : std::optional(found->second.replacement);
  });
  Error reason;
  const std::uint64_t wanted = known.value_or(index);
  if (auto image = read(wanted, reason)) return {wanted, std::move(image)};
  return replace(index, reason);
}

BatchMaker::Chosen BatchMaker::replace(std::uint64_t index, const Error& reason) const {
  for (std::uint64_t attempt = 0; attempt < kReplacementsMax; ++attempt) {
    const std::uint64_t candidate = order_.replacement(index, attempt);
    Error again;
    if (auto image = read(candidate, again)) {
      quarantined_.with([&](auto& all) {
        const auto [entry, is_new] = all.emplace(
            index, Quarantined{index, std::string(source_.key(index)), reason.message, candidate});
        if (is_new && options_.on_quarantined) options_.on_quarantined(entry->second);
      });
      return {candidate, std::move(image)};
    }
  }
  throw std::runtime_error(
      "sample " + std::string(source_.key(index)) + " and its " + std::to_string(kReplacementsMax) +
      " replacements are all bad, the first because: " + reason.message + "; curate the set again");
}

std::shared_ptr<const Image> BatchMaker::read(std::uint64_t index, Error& reason) const {
  auto picture = source_.picture(index);
  if (picture) return *std::move(picture);
  if (!is_samples_fault(picture.error())) throw std::runtime_error(picture.error().message);
  reason = picture.error();
  return nullptr;
}

std::vector<Quarantined> BatchMaker::quarantined() const {
  return quarantined_.with([](auto& all) {
    std::vector<Quarantined> list;
    for (const auto& [index, entry] : all) list.push_back(entry);
    return list;
  });
}

}  // namespace paddock::data
