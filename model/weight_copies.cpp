#include "model/weight_copies.h"

#include <algorithm>

namespace paddock::model {
namespace {

constexpr std::int64_t kAlignment = 256;  // elements: 512 bytes of the narrower type

std::int64_t aligned(std::int64_t elements) {
  return (elements + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

WeightCopies::WeightCopies(const std::vector<Parameter>& parameters, torch::Device device) {
  std::array<std::int64_t, 2> ends{0, 0};
  for (const Parameter& parameter : parameters) {
    const std::size_t which = parameter.is_in_products ? 0 : 1;
    Block& block = blocks_[which];
    places_.push_back({which, block.parameters.size()});
    block.parameters.push_back(parameter.elements);
    block.begins.push_back(ends[which]);
    ends[which] = aligned(ends[which] + parameter.elements.size());
  }
  for (const std::size_t which : {0, 1}) {
    const auto type = which == 0 ? torch::kBFloat16 : torch::kFloat32;
    blocks_[which].values = torch::zeros({ends[which]}, torch::TensorOptions().dtype(type).device(device));
  }
}

torch::Tensor WeightCopies::of(std::size_t i) const {
  const Block& block = blocks_[places_[i].block];
  return block.values.narrow(0, block.begins[places_[i].index], block.parameters[places_[i].index].size());
}

void WeightCopies::write(const torch::Tensor& values, Range slice) {
  const torch::NoGradGuard no_grad;
  for (Block& block : blocks_) {
    for (std::size_t i = 0; i < block.parameters.size(); ++i) {
      const Range parameter = block.parameters[i];
      const std::int64_t begin = std::max(parameter.begin, slice.begin);
      const std::int64_t count = std::min(parameter.end, slice.end) - begin;
      if (count <= 0) continue;
      block.values.narrow(0, block.begins[i] + begin - parameter.begin, count)
          .copy_(values.narrow(0, begin - slice.begin, count));
    }
  }
}

void WeightCopies::begin_sharing(std::int64_t elements, Collective& ranks, SlicesUnderWay& under_way) {
  for (Block& block : blocks_) {
    std::vector<Range> stretches;
    for (std::int64_t rank = 0; rank < ranks.ranks(); ++rank)
      stretches.push_back(block.stretch(slice_of_rank(elements, rank, ranks.ranks())));
    under_way.add(block.values, stretches, ranks);
  }
}

Range WeightCopies::Block::stretch(Range slice) const {
  return {place(slice.begin), place(slice.end)};
}

// Of the first that is not before `element` of the flat parameters.
std::int64_t WeightCopies::Block::place(std::int64_t element) const {
  const auto next = std::ranges::find_if(parameters, [&](Range range) { return range.end > element; });
  if (next == parameters.end()) return values.numel();
  return begins[static_cast<std::size_t>(next - parameters.begin())] +
         std::max<std::int64_t>(0, element - next->begin);
}

}  // namespace paddock::model
