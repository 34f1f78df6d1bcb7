#include "model/adamw.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>

#include "model/kernels/kernel_library.h"

namespace paddock::model {

ParameterMultipliers multipliers_of(const std::string& name, const LayerwiseDecay& layers) {
  ParameterMultipliers multipliers;
  multipliers.is_last_layer = name.find("last_layer") != std::string::npos;
  if (name.ends_with(".bias") || name.find("norm") != std::string::npos ||
      name.find("gamma") != std::string::npos)
    multipliers.wd = 0;
  constexpr std::string_view kBackbone = "backbone.";
  if (!name.starts_with(kBackbone)) return multipliers;
  const std::string inner = name.substr(kBackbone.size());
  std::int64_t layer = layers.depth + 1;  // the final norm
  if (inner.starts_with("blocks."))
    layer = 1 + std::stoll(inner.substr(7));
  else if (!inner.starts_with("norm."))
    layer = 0;  // patches, positions and the special tokens
  multipliers.lr = std::pow(layers.decay, static_cast<double>(layers.depth + 1 - layer));
  if (inner.starts_with("patch_embed.")) multipliers.lr *= layers.patch_embed_mult;
  return multipliers;
}

namespace {

// Sum of squares of each block of kParameterBlock elements, float64 on the CPU. Each block is added alone and in order, so
// that threads change nothing.
torch::Tensor block_squares(const torch::Tensor& gradient) {
  const std::int64_t blocks = gradient.numel() / kParameterBlock;
  if (!gradient.device().is_cpu())
    return gradient.view({blocks, kParameterBlock}).square().sum(1, false, torch::kFloat64).cpu();
  auto sums = torch::zeros({blocks}, torch::kFloat64);
  const float* values = gradient.const_data_ptr<float>();
  auto* out = sums.data_ptr<double>();
  at::parallel_for(0, blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    constexpr std::size_t kLanes = 8;
    for (std::int64_t block = begin; block < end; ++block) {
      double lanes[kLanes] = {};
      const float* first = values + block * kParameterBlock;
      for (std::int64_t i = 0; i < kParameterBlock; i += kLanes) {
        for (std::size_t lane = 0; lane < kLanes; ++lane) {
          const auto value = static_cast<double>(first[i + static_cast<std::int64_t>(lane)]);
          lanes[lane] += value * value;
        }
      }
      for (const double lane : lanes) out[block] += lane;
    }
  });
  return sums;
}

// The slices' parts of all ranks, one after the other.
torch::Tensor joined_slices(const torch::Tensor& own, std::int64_t elements, Collective& ranks) {
  if (ranks.ranks() == 1) return own;
  std::int64_t most = 0;
  const auto blocks_of = [&](std::int64_t rank) {
    return slice_of_rank(elements, rank, ranks.ranks()).size() / kParameterBlock;
  };
  for (std::int64_t rank = 0; rank < ranks.ranks(); ++rank) most = std::max(most, blocks_of(rank));
  auto padded = torch::zeros({most}, own.options());
  padded.narrow(0, 0, own.numel()).copy_(own);
  const auto all = ranks.all_gather(padded);
  std::vector<torch::Tensor> parts;
  for (std::int64_t rank = 0; rank < ranks.ranks(); ++rank)
    parts.push_back(all[rank].narrow(0, 0, blocks_of(rank)));
  return torch::cat(parts);
}

}  // namespace

double ClippedGradients::norm() const {
  double squares = 0;
  for (const double each : norms) squares += each * each;
  return std::sqrt(squares);
}

ClippedGradients clip_gradients(const FlatParameters& parameters, Range slice,
                                const torch::Tensor& gradient_sum, std::int64_t shards, double clip,
                                Collective& ranks) {
  const torch::NoGradGuard no_grad;
  if (gradient_sum.numel() != slice.size())
    throw std::invalid_argument("the gradient is not that of the slice");
  const auto squares = joined_slices(block_squares(gradient_sum), parameters.elements(), ranks).contiguous();
  const auto* of_blocks = squares.const_data_ptr<double>();
  ClippedGradients clipped;
  for (const auto& network : parameters.networks()) {
    double sum = 0;
    for (std::int64_t block = network.elements.begin / kParameterBlock;
         block < network.elements.end / kParameterBlock; ++block)
      sum += of_blocks[block];
    const double norm = std::sqrt(sum) / static_cast<double>(shards);
    const bool is_clipped = clip > 0 && std::isfinite(norm) && norm > clip;
    clipped.norms.push_back(norm);
    clipped.scales.push_back((is_clipped ? clip / (norm + 1e-6) : 1) / static_cast<double>(shards));
  }
  return clipped;
}

AdamW::AdamW(FlatParameters& parameters, FlatParameters& average, Range slice, const LayerwiseDecay& layers,
             const AdamWOptions& options)
    : parameters_(parameters),
      average_(average),
      slice_(slice),
      options_(options),
      first_(torch::zeros({slice.size()}, parameters.values().options())),
      second_(torch::zeros_like(first_)) {
  if (average.elements() != parameters.elements())
    throw std::invalid_argument("parameters and average differ in size");
  std::map<ParameterMultipliers, std::size_t> known;
  for (std::size_t i = 0; i < parameters.tensors().size(); ++i) {
    const auto& [name, tensor] = parameters.tensors()[i];
    const auto [it, is_new] = known.try_emplace(multipliers_of(name, layers), groups_.size());
    if (is_new) groups_.push_back(it->first);
    std::size_t network = 0;
    while (parameters.networks()[network].elements.end <= parameters.offset(i)) ++network;
    const std::int64_t end = std::min(parameters.offset(i) + tensor.numel(), slice.end);
    for (std::int64_t begin = std::max(parameters.offset(i), slice.begin); begin < end;) {
      const std::int64_t block_end = (begin / kParameterBlock + 1) * kParameterBlock;
      const std::int64_t count = std::min(end, block_end) - begin;
      pieces_.push_back({begin, count, network, it->second});
      begin += count;
    }
  }
}

void AdamW::step(const torch::Tensor& gradient, const std::vector<double>& scales, const AdamWStep& values) {
  const torch::NoGradGuard no_grad;
  ++updates_;
  const auto values_of = [&](const Piece& piece) {
    const ParameterMultipliers& group = groups_[piece.group];
    const bool is_backbone = parameters_.networks()[piece.network].name == "backbone";
    UpdateNumbers numbers{(group.is_last_layer ? values.last_layer_lr : values.lr) * group.lr *
                              (is_backbone ? values.backbone_lr_scale : 1),
                          values.weight_decay * group.wd,
                          options_.beta1,
                          options_.beta2,
                          options_.epsilon,
                          values.momentum,
                          updates_,
                          scales[piece.network]};
    return fused_update_values(numbers);
  };
  const auto arrays_of = [&](const Piece& piece) {
    const std::int64_t inside = piece.begin - slice_.begin;
    FusedUpdateArrays arrays;
    arrays.value = parameters_.values().data_ptr<float>() + piece.begin - parameters_.held().begin;
    arrays.gradient = gradient.const_data_ptr<float>() + inside;
    arrays.first = first_.data_ptr<float>() + inside;
    arrays.second = second_.data_ptr<float>() + inside;
    arrays.average = average_.values().data_ptr<float>() + piece.begin - average_.held().begin;
    arrays.count = piece.count;
    return arrays;
  };
  if (parameters_.values().device().is_cpu()) {
    at::parallel_for(0, static_cast<std::int64_t>(pieces_.size()), 1,
                     [&](std::int64_t begin, std::int64_t end) {
                       for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i)
                         fused_update_cpu(arrays_of(pieces_[i]), values_of(pieces_[i]));
                     });
    return;
  }
  const KernelLibrary& kernels = kernel_library();
  if (kernels.fused_update == nullptr)
    throw std::runtime_error("training on a GPU needs our CUDA kernels: " + kernels.problem);
  for (const Piece& piece : pieces_) {
    const auto arrays = arrays_of(piece);
    const auto numbers = values_of(piece);
    // The null stream: the step runs on LibTorch's default stream, which is that one.
    if (const int error = kernels.fused_update(&arrays, &numbers, nullptr); error != 0)
      throw std::runtime_error("the optimiser's CUDA kernel failed with error " + std::to_string(error));
  }
}

}  // namespace paddock::model
