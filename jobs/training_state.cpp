#include "jobs/training_state.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "model/weights.h"

namespace paddock::jobs {
namespace {

std::deque<Student> made(const std::map<std::string, model::HeadedBackboneOptions>& networks,
                         const TrainingState::Learning& learning, torch::Device device,
                         const model::Shards& shards) {
  std::deque<Student> students;
  for (const auto& [name, options] : networks) {
    const model::LayerwiseDecay layers{learning.layerwise_decay, learning.patch_embed_mult,
                                       options.backbone.depth};
    students.emplace_back(name, PupilOptions{options, layers, learning.seed, learning.weights}, device,
                          shards);
  }
  return students;
}

// Where a checkpoint's state tells of a student.
const nlohmann::json& told_of(const Student& student, const nlohmann::json& state) {
  return student.name.empty() ? state : state.at("students").at(student.name);
}

}  // namespace

Student::Student(std::string its_name, const PupilOptions& options, torch::Device device,
                 const model::Shards& shards)
    : name(std::move(its_name)), pupil(options, device, shards) {}

nlohmann::json Student::counters() const {
  return {
      {"updates", pupil.optimiser.updates()}, {"skipped", skipped}, {"skipped_in_a_row", skipped_in_a_row}};
}

TrainingState::TrainingState(const std::map<std::string, model::HeadedBackboneOptions>& networks,
                             const Learning& learning, model::Centering centering, torch::Device device,
                             const model::Shards& shards)
    : students(made(networks, learning, device, shards)),
      targets(centering, students.front().pupil.student.dino_head.options().prototypes,
              students.front().pupil.student.patch_head().options().prototypes, device) {}

const Student& TrainingState::worst() const {
  return *std::ranges::max_element(students, {}, &Student::skipped_in_a_row);
}

Snapshot TrainingState::snapshot(nlohmann::json about) {
  Snapshot snapshot;
  snapshot.step = step;
  snapshot.state = std::move(about);
  snapshot.state["step"] = step;
  snapshot.state["data_offset"] = data_offset;
  snapshot.state["rollbacks"] = rollbacks;
  for (Student& student : students) {
    (student.name.empty() ? snapshot.state : snapshot.state["students"][student.name])
        .update(student.counters());
    for (auto& file : student.pupil.snapshot(student.prefix())) snapshot.files.push_back(std::move(file));
  }
  model::NamedTensors centers;
  for (const auto& [name, tensor] : targets.state())
    centers.emplace_back("center." + name, copied_to_cpu(tensor));
  if (!centers.empty()) snapshot.files.emplace_back("centers.safetensors", std::move(centers));
  return snapshot;
}

void TrainingState::restore(const storage::Checkpoint& checkpoint) {
  for (Student& student : students) student.pupil.restore(checkpoint, student.prefix());
  if (const auto centers = targets.state(); !centers.empty())
    load_file(checkpoint, "centers.safetensors", model::with_prefix("center.", centers));
  try {
    const nlohmann::json& state = checkpoint.state();
    step = state.at("step").get<std::int64_t>();
    data_offset = state.at("data_offset").get<std::int64_t>();
    rollbacks = state.at("rollbacks").get<std::int64_t>();
    for (Student& student : students) {
      const nlohmann::json& own = told_of(student, state);
      student.skipped = own.at("skipped").get<std::int64_t>();
      student.skipped_in_a_row = own.at("skipped_in_a_row").get<std::int64_t>();
      student.pupil.optimiser.set_updates(own.at("updates").get<std::int64_t>());
    }
  } catch (const nlohmann::json::exception& error) {
    throw std::invalid_argument(std::string("the checkpoint's state lacks what resuming needs: ") +
                                error.what());
  }
}

void TrainingState::share(model::Collective& ranks) {
  const torch::NoGradGuard no_grad;
  std::vector<std::int64_t> numbers{step, data_offset, rollbacks};
  for (const Student& student : students)
    numbers.insert(numbers.end(),
                   {student.skipped, student.skipped_in_a_row, student.pupil.optimiser.updates()});
  auto shared_numbers = torch::tensor(numbers, torch::kInt64);
  ranks.broadcast(shared_numbers, 0);
  std::int64_t next = 0;
  const auto take = [&] { return shared_numbers[next++].item<std::int64_t>(); };
  for (std::int64_t* number : {&step, &data_offset, &rollbacks}) *number = take();
  for (Student& student : students) {
    student.skipped = take();
    student.skipped_in_a_row = take();
    student.pupil.optimiser.set_updates(take());
    student.pupil.share();
  }
  for (auto& [name, center] : targets.state()) {
    torch::Tensor shared = center;
    ranks.broadcast(shared, 0);
  }
}

}  // namespace paddock::jobs
