#include "jobs/training_state.h"

#include <stdexcept>

#include "jobs/tensors.h"
#include "jobs/value_or_throw.h"

namespace paddock::jobs {
namespace {

using model::NamedTensors;

// Views into `flat`, under the names and shapes of `like`.
NamedTensors views(const std::string& prefix, const torch::Tensor& flat, const NamedTensors& like) {
  NamedTensors named;
  std::int64_t offset = 0;
  for (const auto& [name, tensor] : like) {
    named.emplace_back(prefix + name, flat.narrow(0, offset, tensor.numel()).view(tensor.sizes()));
    offset += tensor.numel();
  }
  return named;
}

torch::Tensor copied(const torch::Tensor& tensor) {
  return tensor.detach().to(torch::kCPU, tensor.scalar_type(), false, true);
}

model::HeadedBackbone made(const model::HeadedBackboneOptions& options, std::uint64_t seed,
                           torch::Device device) {
  model::HeadedBackbone networks(options, device);
  networks.initialize(seed);
  return networks;
}

void append(NamedTensors& all, NamedTensors more) {
  for (auto& named : more) all.push_back(std::move(named));
}

}  // namespace

TrainingState::TrainingState(const model::HeadedBackboneOptions& networks,
                             const model::LayerwiseDecay& layers, model::Centering centering,
                             std::uint64_t seed, torch::Device device)
    : student(made(networks, seed, device)),
      average(made(networks, seed, device)),
      student_parameters(student.parameters(), true),
      average_parameters(average.parameters(), false),
      optimiser(student_parameters, layers),
      targets(centering, student.dino_head.options().prototypes, student.patch_head().options().prototypes,
              device) {}

Snapshot TrainingState::snapshot(nlohmann::json about) {
  const torch::NoGradGuard no_grad;
  Snapshot snapshot;
  snapshot.step = step;
  snapshot.state = std::move(about);
  snapshot.state["step"] = step;
  snapshot.state["updates"] = optimiser.updates();
  snapshot.state["skipped"] = skipped;
  snapshot.state["skipped_in_a_row"] = skipped_in_a_row;
  const auto& names = student_parameters.tensors();
  snapshot.files.emplace_back("student.safetensors",
                              views("student.", copied(student_parameters.values()), names));
  snapshot.files.emplace_back("teacher.safetensors",
                              views("teacher.", copied(average_parameters.values()), names));
  auto moments = views("first.", copied(optimiser.first_moments()), names);
  append(moments, views("second.", copied(optimiser.second_moments()), names));
  snapshot.files.emplace_back("optimizer.safetensors", std::move(moments));
  NamedTensors centers;
  for (const auto& [name, tensor] : targets.state()) centers.emplace_back("center." + name, copied(tensor));
  if (!centers.empty()) snapshot.files.emplace_back("centers.safetensors", std::move(centers));
  return snapshot;
}

void TrainingState::restore(const storage::Checkpoint& checkpoint) {
  const auto load = [&](const std::string& file, const NamedTensors& target) {
    model::load_weights(target, tensors_of_bytes(value_or_throw(checkpoint.tensors(file), "resuming")));
  };
  const auto& names = student_parameters.tensors();
  load("student.safetensors", views("student.", student_parameters.values(), names));
  load("teacher.safetensors", views("teacher.", average_parameters.values(), names));
  auto moments = views("first.", optimiser.first_moments(), names);
  append(moments, views("second.", optimiser.second_moments(), names));
  load("optimizer.safetensors", moments);
  if (const auto centers = targets.state(); !centers.empty())
    load("centers.safetensors", model::with_prefix("center.", centers));
  try {
    step = checkpoint.state().at("step").get<std::int64_t>();
    skipped = checkpoint.state().at("skipped").get<std::int64_t>();
    skipped_in_a_row = checkpoint.state().at("skipped_in_a_row").get<std::int64_t>();
    optimiser.set_updates(checkpoint.state().at("updates").get<std::int64_t>());
  } catch (const nlohmann::json::exception& error) {
    throw std::invalid_argument(std::string("the checkpoint's state lacks what resuming needs: ") +
                                error.what());
  }
}

std::vector<torch::Tensor*> TrainingState::tensors() {
  return {&student_parameters.values(), &average_parameters.values(), &optimiser.first_moments(),
          &optimiser.second_moments()};
}

void TrainingState::broadcast(model::Collective& ranks) {
  if (ranks.ranks() == 1) return;
  const torch::NoGradGuard no_grad;
  auto numbers = torch::tensor({step, skipped, skipped_in_a_row, optimiser.updates()}, torch::kInt64);
  ranks.broadcast(numbers, 0);
  step = numbers[0].item<std::int64_t>();
  skipped = numbers[1].item<std::int64_t>();
  skipped_in_a_row = numbers[2].item<std::int64_t>();
  optimiser.set_updates(numbers[3].item<std::int64_t>());
  for (torch::Tensor* tensor : tensors()) ranks.broadcast(*tensor, 0);
  for (auto& [name, center] : targets.state()) {
    torch::Tensor shared = center;
    ranks.broadcast(shared, 0);
  }
}

}  // namespace paddock::jobs
