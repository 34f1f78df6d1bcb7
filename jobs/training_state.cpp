#include "jobs/training_state.h"

#include <stdexcept>

#include "model/weights.h"

namespace paddock::jobs {

TrainingState::TrainingState(const model::HeadedBackboneOptions& networks,
                             const model::LayerwiseDecay& layers, model::Centering centering,
                             std::uint64_t seed, torch::Device device, const model::Shards& shards)
    : pupil(networks, layers, seed, device, shards),
      targets(centering, pupil.student.dino_head.options().prototypes,
              pupil.student.patch_head().options().prototypes, device) {}

Snapshot TrainingState::snapshot(nlohmann::json about) {
  Snapshot snapshot;
  snapshot.step = step;
  snapshot.state = std::move(about);
  snapshot.state["step"] = step;
  snapshot.state["updates"] = pupil.optimiser.updates();
  snapshot.state["skipped"] = skipped;
  snapshot.state["skipped_in_a_row"] = skipped_in_a_row;
  snapshot.state["data_offset"] = data_offset;
  snapshot.state["rollbacks"] = rollbacks;
  snapshot.files = pupil.snapshot();
  model::NamedTensors centers;
  for (const auto& [name, tensor] : targets.state())
    centers.emplace_back("center." + name, copied_to_cpu(tensor));
  if (!centers.empty()) snapshot.files.emplace_back("centers.safetensors", std::move(centers));
  return snapshot;
}

void TrainingState::restore(const storage::Checkpoint& checkpoint) {
  pupil.restore(checkpoint);
  if (const auto centers = targets.state(); !centers.empty())
    load_file(checkpoint, "centers.safetensors", model::with_prefix("center.", centers));
  try {
    step = checkpoint.state().at("step").get<std::int64_t>();
    skipped = checkpoint.state().at("skipped").get<std::int64_t>();
    skipped_in_a_row = checkpoint.state().at("skipped_in_a_row").get<std::int64_t>();
    data_offset = checkpoint.state().at("data_offset").get<std::int64_t>();
    rollbacks = checkpoint.state().at("rollbacks").get<std::int64_t>();
    pupil.optimiser.set_updates(checkpoint.state().at("updates").get<std::int64_t>());
  } catch (const nlohmann::json::exception& error) {
    throw std::invalid_argument(std::string("the checkpoint's state lacks what resuming needs: ") +
                                error.what());
  }
}

void TrainingState::share(model::Collective& ranks) {
  const torch::NoGradGuard no_grad;
  auto numbers = torch::tensor(
      {step, skipped, skipped_in_a_row, data_offset, rollbacks, pupil.optimiser.updates()}, torch::kInt64);
  ranks.broadcast(numbers, 0);
  std::int64_t updates = 0, next = 0;
  for (std::int64_t* number : {&step, &skipped, &skipped_in_a_row, &data_offset, &rollbacks, &updates})
    *number = numbers[next++].item<std::int64_t>();
  pupil.optimiser.set_updates(updates);
  pupil.share();
  for (auto& [name, center] : targets.state()) {
    torch::Tensor shared = center;
    ranks.broadcast(shared, 0);
  }
}

}  // namespace paddock::jobs
