#include "model/weight_file.h"

#include <algorithm>
#include <stdexcept>

#include "model/weight_families.h"

namespace paddock::model {
namespace {

// What stands before the names of each backbone in the file.
std::vector<std::string> prefixes_of(const std::vector<std::string>& names) {
  std::vector<std::string> prefixes;
  const auto has_blocks_of_clip = [&](const std::string& prefix) {  // every ResNet has a conv1
    return std::ranges::any_of(
        names, [&](const std::string& name) { return name.starts_with(prefix + "transformer.resblocks."); });
  };
  for (const auto& name : names)
    for (const auto& anchor :
         {kPatchWeights, kHuggingFacePatchWeights, kHuggingFaceClipPatchWeights, kOpenClipPatchWeights}) {
      if (name != anchor && !name.ends_with("." + anchor)) continue;
      const std::string prefix = name.substr(0, name.size() - anchor.size());
      if (anchor != kOpenClipPatchWeights || has_blocks_of_clip(prefix)) prefixes.push_back(prefix);
    }
  return prefixes;
}

// The averaged network is the one that is evaluated and released; MoCo v3 releases the other, its base encoder.
bool is_preferred(const std::string& prefix) {
  return std::ranges::any_of(segments_of(prefix), [](const std::string& s) {
    return s == "teacher" || s == "target_encoder" || s == "base_encoder" || s == "model_ema" ||
           s == "state_dict_ema";
  });
}

std::string chosen(const std::vector<std::string>& prefixes) {
  if (prefixes.size() == 1) return prefixes.front();
  if (std::ranges::count_if(prefixes, is_preferred) == 1)
    return *std::ranges::find_if(prefixes, is_preferred);
  std::string all;
  for (const auto& prefix : prefixes) all += (all.empty() ? "'" : ", '") + prefix + "'";
  throw std::invalid_argument("the file holds several networks, under " + all +
                              ": keep the one that is meant");
}

}  // namespace

std::string without_wrappers(const std::string& name) {
  auto segments = segments_of(name);
  std::erase_if(segments, [](const std::string& s) {
    return s == "module" || s == "_orig_mod" || s == "_fsdp_wrapped_module" ||
           s == "_checkpoint_wrapped_module";
  });
  return joined_segments(segments);
}

WeightFile divide_weights(const TensorMap& tensors) {
  WeightFile file;
  for (const auto& [source, tensor] : tensors) file.names.push_back(without_wrappers(source));
  const auto prefixes = prefixes_of(file.names);
  if (prefixes.empty())
    throw std::invalid_argument("these are no weights of a ViT: none of the " +
                                std::to_string(tensors.size()) + " names ends in " + kPatchWeights + ", " +
                                kHuggingFacePatchWeights + " or, beside a transformer's, " +
                                kHuggingFaceClipPatchWeights + " or " + kOpenClipPatchWeights +
                                (tensors.empty() ? "" : "; the first is " + tensors.begin()->first));
  file.prefix = chosen(prefixes);
  auto name = file.names.begin();
  for (const auto& [source, tensor] : tensors) {
    const std::string& full = *name++;
    std::string owner;  // the longest prefix of a network that the name has
    for (const auto& prefix : prefixes)
      if (full.starts_with(prefix) && prefix.size() > owner.size()) owner = prefix;
    if (owner != file.prefix) {
      const bool is_known = !owner.empty() || std::ranges::any_of(segments_of(full), is_left_out) ||
                            is_beside_tower(file.prefix, full);
      (is_known ? file.left_out : file.unknown).push_back(source);
      continue;
    }
    const std::string inner = full.substr(file.prefix.size());
    const auto segments = segments_of(inner);
    if (!segments.empty() && is_left_out(segments.front()))
      file.left_out.push_back(source);
    else if (!file.backbone.emplace(inner, FileTensor{source, tensor}).second)
      file.twice.push_back(source);
  }
  return file;
}

}  // namespace paddock::model
