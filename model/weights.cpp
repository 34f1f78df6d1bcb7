#include "model/weights.h"

#include <ATen/core/grad_mode.h>

#include <sstream>
#include <stdexcept>

namespace paddock::model {
namespace {

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

std::string shape_of(const torch::Tensor& tensor) {
  std::ostringstream out;
  out << tensor.sizes();
  return out.str();
}

}  // namespace

NamedTensors with_prefix(const std::string& prefix, const NamedTensors& tensors) {
  NamedTensors named;
  for (const auto& [name, tensor] : tensors) named.emplace_back(prefix + name, tensor);
  return named;
}

TensorMap without_prefix(const std::string& prefix, const TensorMap& tensors) {
  TensorMap found;
  for (auto it = tensors.lower_bound(prefix); it != tensors.end() && it->first.starts_with(prefix); ++it)
    found.emplace(it->first.substr(prefix.size()), it->second);
  return found;
}

TensorMap flatten_chunks(const TensorMap& tensors) {
  TensorMap flat;
  for (const auto& [name, tensor] : tensors) {
    std::string key = name;
    if (name.starts_with("blocks.")) {
      const auto chunk_end = name.find('.', 7);
      const auto block_end = chunk_end == std::string::npos ? chunk_end : name.find('.', chunk_end + 1);
      if (block_end != std::string::npos && is_number(name.substr(chunk_end + 1, block_end - chunk_end - 1)))
        key = "blocks." + name.substr(chunk_end + 1);
    }
    flat.emplace(std::move(key), tensor);
  }
  return flat;
}

void load_weights(const NamedTensors& target, const TensorMap& source) {
  std::ostringstream problems;
  std::size_t found = 0;
  for (const auto& [name, tensor] : target) {
    const auto it = source.find(name);
    if (it == source.end()) {
      problems << "; missing " << name;
      continue;
    }
    ++found;
    if (it->second.sizes() != tensor.sizes())
      problems << "; " << name << " is " << shape_of(it->second) << ", must be " << shape_of(tensor);
  }
  if (found < source.size()) {
    TensorMap known(target.begin(), target.end());
    for (const auto& [name, tensor] : source) {
      if (!known.contains(name)) problems << "; unknown " << name;
    }
  }
  const std::string text = problems.str();
  if (!text.empty()) throw std::invalid_argument("weights do not fit the model: " + text.substr(2));
  const torch::NoGradGuard no_grad;
  for (const auto& [name, tensor] : target) torch::Tensor(tensor).copy_(source.at(name));
}

std::int64_t count_parameters(const NamedTensors& tensors) {
  std::int64_t count = 0;
  for (const auto& [name, tensor] : tensors) count += tensor.numel();
  return count;
}

}  // namespace paddock::model
