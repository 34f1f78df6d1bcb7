#include "jobs/pupil.h"

#include <cmath>

#include "jobs/tensors.h"
#include "jobs/value_or_throw.h"

namespace paddock::jobs {
namespace {

using model::NamedTensors;

model::HeadedBackbone made(const model::HeadedBackboneOptions& options, std::uint64_t seed,
                           torch::Device device) {
  model::HeadedBackbone networks(options, device);
  networks.initialize(seed);
  return networks;
}

// The same networks, their weights still undetermined.
model::HeadedBackbone copy_of(const model::HeadedBackbone& networks,
                              const model::HeadedBackboneOptions& options, torch::Device device) {
  model::HeadedBackbone copy(options, device);
  const torch::NoGradGuard no_grad;
  const auto from = networks.parameters(), to = copy.parameters();
  for (std::size_t i = 0; i < to.size(); ++i) torch::Tensor(to[i].second).copy_(from[i].second);
  return copy;
}

}  // namespace

torch::Tensor copied_to_cpu(const torch::Tensor& tensor) {
  return tensor.detach().to(torch::kCPU, tensor.scalar_type(), false, true);
}

void load_file(const storage::Checkpoint& checkpoint, const std::string& file, const NamedTensors& target) {
  model::load_weights(target, tensors_of_bytes(value_or_throw(checkpoint.tensors(file), "resuming")));
}

Pupil::Pupil(const PupilOptions& options, torch::Device device, const model::Shards& shards)
    : student(made(options.networks, options.seed, device)),
      average(copy_of(student, options.networks, device)),
      student_parameters(student.parameters(), true),
      average_parameters(average.parameters(), false),
      gradients(student_parameters, shards),
      optimiser(student_parameters, average_parameters, gradients.slice(), options.layers),
      shards_(shards) {
  if (options.weights == HeldWeights::kWhole) return;
  if (shards.ranks().rank() == 0)
    on_the_way_.student = on_the_way_.average = copied_to_cpu(student_parameters.values());
  for (auto [networks, parameters] :
       {std::pair(&student, &student_parameters), std::pair(&average, &average_parameters)}) {
    parameters->keep_slice(gradients.slice(), networks->product_weights());
    networks->set_product_copies(parameters->product_copies());
  }
}

void Pupil::begin_from(const model::TensorMap& weights) {
  const torch::NoGradGuard no_grad;
  const bool is_sliced = student_parameters.is_sliced();
  if (is_sliced && !on_the_way_.student.defined()) return;  // rank 0 hands them out
  auto& values = is_sliced ? on_the_way_.student : student_parameters.values();
  NamedTensors target;
  for (const auto& named : student_parameters.views("", values)) {
    const std::string network = named.first.substr(0, named.first.find('.') + 1);
    const auto first = weights.lower_bound(network);
    if (first != weights.end() && first->first.starts_with(network)) target.push_back(named);
  }
  model::load_weights(target, weights);
  if (!is_sliced) average_parameters.values().copy_(values);  // else they are one tensor
}

void Pupil::set_compute_type(torch::ScalarType type) {
  student.set_compute_type(type);
  average.set_compute_type(type);
}

double Pupil::update(const model::AdamWStep& values, double clip, bool is_usable) {
  model::Collective& ranks = shards_.ranks();
  const auto gradient = gradients.reduce();
  const auto clipped =
      model::clip_gradients(student_parameters, gradients.slice(), gradient, shards_.count(), clip, ranks);
  const double norm = clipped.norm();
  if (is_usable && std::isfinite(norm)) {
    settle();
    optimiser.step(gradient, clipped.scales, values);
    // The average first: the teacher's pass comes before the student's.
    average_parameters.begin_sharing(ranks, average_slices_);
    student_parameters.begin_sharing(ranks, student_slices_);
  }
  return norm;
}

torch::Tensor Pupil::whole(const torch::Tensor& slice) {
  model::Collective& ranks = shards_.ranks();
  if (ranks.ranks() == 1) return copied_to_cpu(slice);
  const std::int64_t elements = student_parameters.elements();
  // Everybody sends rank 0 its slice and the others nothing.
  std::vector<std::int64_t> sent(static_cast<std::size_t>(ranks.ranks()), 0), received(sent);
  sent[0] = slice.numel();
  if (ranks.rank() == 0) {
    for (std::int64_t rank = 0; rank < ranks.ranks(); ++rank)
      received[static_cast<std::size_t>(rank)] = model::slice_of_rank(elements, rank, ranks.ranks()).size();
  }
  const auto all = ranks.all_to_all(copied_to_cpu(slice), sent, received);
  return ranks.rank() == 0 ? all : torch::Tensor();
}

torch::Tensor Pupil::whole(const model::FlatParameters& parameters) {
  if (parameters.is_sliced()) return whole(parameters.values());
  return shards_.ranks().rank() == 0 ? copied_to_cpu(parameters.values()) : torch::Tensor();
}

CheckpointFiles Pupil::networks(const std::string& prefix) {
  const torch::NoGradGuard no_grad;
  CheckpointFiles files;
  for (const auto& [role, parameters] :
       {std::pair("student", &student_parameters), std::pair("teacher", &average_parameters)}) {
    const auto values = whole(*parameters);
    if (!values.defined()) continue;
    files.emplace_back(prefix + role + ".safetensors", student_parameters.views(prefix + role + ".", values));
  }
  return files;
}

CheckpointFiles Pupil::snapshot(const std::string& prefix) {
  const torch::NoGradGuard no_grad;
  CheckpointFiles files = networks(prefix);
  const auto first = whole(optimiser.first_moments()), second = whole(optimiser.second_moments());
  if (shards_.ranks().rank() != 0) return {};
  auto moments = student_parameters.views(prefix + "first.", first);
  for (auto& named : student_parameters.views(prefix + "second.", second))
    moments.push_back(std::move(named));
  files.emplace_back(prefix + "optimizer.safetensors", std::move(moments));
  return files;
}

void Pupil::restore(const storage::Checkpoint& checkpoint, const std::string& prefix) {
  const torch::NoGradGuard no_grad;
  const auto zeros = [&] { return torch::zeros({student_parameters.elements()}, torch::kFloat32); };
  if (student_parameters.is_sliced()) {
    on_the_way_.student = zeros();
    on_the_way_.average = zeros();
  }
  const auto target = [&](const torch::Tensor& on_the_way, const model::FlatParameters& parameters) {
    return on_the_way.defined() ? on_the_way : parameters.values();
  };
  load_file(checkpoint, prefix + "student.safetensors",
            student_parameters.views(prefix + "student.", target(on_the_way_.student, student_parameters)));
  load_file(checkpoint, prefix + "teacher.safetensors",
            student_parameters.views(prefix + "teacher.", target(on_the_way_.average, average_parameters)));
  on_the_way_.first = zeros();
  on_the_way_.second = zeros();
  auto moments = student_parameters.views(prefix + "first.", on_the_way_.first);
  for (auto& named : student_parameters.views(prefix + "second.", on_the_way_.second))
    moments.push_back(std::move(named));
  load_file(checkpoint, prefix + "optimizer.safetensors", moments);
}

bool Pupil::is_restored_finite() const {
  const auto& values = on_the_way_.student.defined() ? on_the_way_.student : student_parameters.values();
  return values.isfinite().all().item<bool>();
}

void Pupil::share() {
  const torch::NoGradGuard no_grad;
  model::Collective& ranks = shards_.ranks();
  if (student_parameters.is_sliced()) {
    hand_out(on_the_way_.student, student_parameters.values());
    hand_out(on_the_way_.average, average_parameters.values());
    average_parameters.begin_sharing(ranks, average_slices_);
    student_parameters.begin_sharing(ranks, student_slices_);
    settle();
  } else {
    ranks.broadcast(student_parameters.values(), 0);
    ranks.broadcast(average_parameters.values(), 0);
  }
  hand_out(on_the_way_.first, optimiser.first_moments());
  hand_out(on_the_way_.second, optimiser.second_moments());
}

void Pupil::hand_out(torch::Tensor& whole, torch::Tensor& own) {
  model::Collective& ranks = shards_.ranks();
  auto is_there = torch::tensor({whole.defined() ? 1 : 0}, torch::kInt64);
  ranks.broadcast(is_there, 0);
  if (is_there.item<std::int64_t>() == 0) return;
  for (std::int64_t rank = 0; rank < ranks.ranks(); ++rank) {
    const auto range = model::slice_of_rank(student_parameters.elements(), rank, ranks.ranks());
    if (range.size() == 0) continue;
    auto carried = ranks.rank() == 0 ? whole.narrow(0, range.begin, range.size())
                                     : torch::empty({range.size()}, torch::kFloat32);
    ranks.broadcast(carried, 0);
    if (rank == ranks.rank()) own.copy_(carried);
  }
  whole = torch::Tensor();
}

}  // namespace paddock::jobs
