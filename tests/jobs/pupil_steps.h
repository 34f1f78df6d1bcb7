// tests/jobs/pupil_steps.h – a few steps of a pupil in bfloat16 with blocks in their plain form, on any number of ranks in memory,
// with whole weights or sliced ones: what both must end in.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "jobs/pupil.h"
#include "tests/model/passing_ranks.h"
#include "tests/model/ranks_in_memory.h"
#include "tests/model/tiny_step.h"

namespace paddock::jobs {

constexpr std::int64_t kShards = 3;
constexpr int kSteps = 4;

inline model::HeadedBackboneOptions networks() {
  auto options = model::tiny_networks();
  options.backbone.embed_dim = 96;  // of six blocks: slices are cut within parameters
  options.backbone.depth = 3;
  options.backbone.heads = 3;
  options.backbone.registers = 1;
  options.dino_head = {.prototypes = 700, .hidden = 160, .bottleneck = 48, .layers = 3};
  return options;
}

// Passes on what a rank does with others, but for broadcasts that are to be forgotten. A broadcast that is only begun happens when it
// is waited for, as late as a network may be; until then there are no numbers where it goes.
class ForgetfulRanks final : public model::PassingRanks {
 public:
  using PassingRanks::PassingRanks;
  std::function<bool(const torch::Tensor& tensor, std::int64_t root)> is_forgotten;

  std::unique_ptr<Pending> begin_broadcast(torch::Tensor& tensor, std::int64_t root) override {
    if (is_forgotten && is_forgotten(tensor, root)) return nullptr;
    if (root != rank()) tensor.fill_(0xff);  // bytes: no number in any type
    return std::make_unique<Late>([this, tensor, root]() mutable { ranks_.broadcast(tensor, root); });
  }
};

struct Trained {
  model::TensorMap tensors;  // of the checkpoint's files, on rank 0
  std::vector<double> losses, norms;
  bool operator==(const Trained& other) const {
    const auto is_equal = [](const auto& a, const auto& b) {
      return a.first == b.first && torch::equal(a.second, b.second);
    };
    return losses == other.losses && norms == other.norms && tensors.size() == other.tensors.size() &&
           std::ranges::equal(tensors, other.tensors, is_equal);
  }
};

// What is left out of each update's messages: of "student" or "average", in bfloat16 or not, from a rank.
struct Forgotten {
  std::string whose;
  bool is_in_products = false;
  std::int64_t root = 0;
};

struct PupilSteps {
  HeldWeights weights = HeldWeights::kWhole;
  bool is_checkpointing = false;
  const model::TensorMap* begin_from = nullptr;
  std::optional<Forgotten> forgotten = {};
};

inline const model::TinyPictures& pictures() {
  static const auto drawn = [] {
    at::manual_seed(5);
    return model::TinyPictures({3, 8, 1, 5, 0, 2, 7, 2, 0, 4, 1, 0});
  }();
  return drawn;
}

inline model::CropBatch on(torch::Device device, model::CropBatch batch) {
  for (torch::Tensor* tensor : {&batch.globals, &batch.locals, &batch.masks_2BN, &batch.patch_weights_M})
    *tensor = tensor->to(device);
  return batch;
}

inline auto forgetting(const Forgotten& forgotten, const Pupil& pupil) {
  const auto& parameters = forgotten.whose == "student" ? pupil.student_parameters : pupil.average_parameters;
  // Each kind lies in one block (model/weight_copies.h), which any of it shows.
  torch::Tensor shown = parameters.product_copies()->begin()->second;
  if (!forgotten.is_in_products) {
    for (const auto& [name, tensor] : parameters.tensors())
      if (name == "backbone.norm.weight") shown = tensor;
  }
  return [shown, root = forgotten.root](const torch::Tensor& tensor, std::int64_t from) {
    return from == root && tensor.storage().is_alias_of(shown.storage());
  };
}

// A few steps in bfloat16, with blocks in their plain form.
inline Trained trained_on(model::Collective& all, const PupilSteps& training,
                          torch::Device device = torch::kCPU) {
  ForgetfulRanks ranks(all);
  const model::Shards shards(ranks, kShards);
  Pupil pupil({networks(), {.9, .2, 3}, 7, training.weights}, device, shards);
  if (training.begin_from != nullptr) pupil.begin_from(*training.begin_from);
  pupil.share();
  for (model::HeadedBackbone* each : {&pupil.student, &pupil.average}) each->backbone.set_fused(false);
  pupil.set_compute_type(torch::kBFloat16);
  pupil.student.backbone.set_activation_checkpointing(training.is_checkpointing);
  if (training.forgotten) ranks.is_forgotten = forgetting(*training.forgotten, pupil);
  model::TeacherTargets targets(model::Centering::kSinkhornKnopp, 700, 20, device);
  std::vector<model::CropBatch> batches;
  for (std::int64_t shard = shards.own().begin; shard < shards.own().end; ++shard)
    batches.push_back(on(device, pictures().batch(2 * shard, 2 * shard + 2)));
  model::LossOptions losses;
  losses.local_crops = model::TinyPictures::kLocalCrops;
  Trained trained;
  for (int step = 0; step < kSteps; ++step) {
    pupil.wait_for_average();
    const auto taught = model::teach(pupil.average, targets, batches, .07, shards);
    pupil.wait_for_student();
    std::vector<torch::Tensor> totals;
    for (std::size_t i = 0; i < batches.size(); ++i) {
      const auto loss = model::student_losses(pupil.student, taught[i], batches[i], losses).total;
      loss.backward();
      pupil.gradients.add_shard();
      totals.push_back(loss.detach().view({1}));
    }
    trained.losses.push_back(shards.sum(totals).item<double>());
    trained.norms.push_back(pupil.update({.01, .005, .1, .9}, 3, step != 2));  // a step that is left out
  }
  pupil.settle();
  for (auto& [file, tensors] : pupil.snapshot()) trained.tensors.insert(tensors.begin(), tensors.end());
  return trained;
}

// Rank 0's.
inline Trained trained_on(std::int64_t count, const PupilSteps& training) {
  std::vector<Trained> all(static_cast<std::size_t>(count));
  model::RanksInMemory(count).run([&](model::Collective& ranks) {
    all[static_cast<std::size_t>(ranks.rank())] = trained_on(ranks, training);
  });
  return all.front();
}

}  // namespace paddock::jobs
