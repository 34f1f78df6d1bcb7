// Letters: B pictures, C channels, S side, N patches a picture, D width, H heads, R registers.
#include "jobs/evaluate/features.h"

#include <torch/types.h>

#include <algorithm>
#include <stdexcept>

#include "base/check.h"
#include "base/guarded.h"
#include "data/augment.h"
#include "jobs/evaluate/color_map.h"
#include "jobs/evaluate/one_thread.h"
#include "jobs/parallel_for.h"

namespace paddock::evaluate {
namespace {

constexpr std::size_t kPicturesAPass = 32;  // of components_of: bounds the memory of a forward pass

std::vector<float> floats_of(const torch::Tensor& tensor) {
  const torch::Tensor flat = tensor.detach().to(torch::kFloat32).contiguous();
  return {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()};
}

int patches_a_side(const model::VisionTransformer& backbone, const data::Image& picture) {
  const auto patch = static_cast<int>(backbone.options().patch_size);
  if (picture.width % patch != 0)
    throw std::invalid_argument("evaluate: image_size " + std::to_string(picture.width) +
                                " is no multiple of the model's patch " + std::to_string(patch));
  return picture.width / patch;
}

// The top `count` principal directions of rows, [D, count], and each one's share of the variance.
std::pair<torch::Tensor, torch::Tensor> principal_directions(const torch::Tensor& centred_ND,
                                                             std::int64_t count) {
  const torch::Tensor rows_ND = centred_ND.to(torch::kFloat64);
  const torch::Tensor covariance_DD =
      torch::mm(rows_ND.t(), rows_ND) / std::max<std::int64_t>(rows_ND.size(0), 1);
  const auto [values_D, vectors_DD] = torch::linalg_eigh(covariance_DD);
  return {vectors_DD.slice(1, -count).flip(1),
          values_D.slice(0, -count).flip(0) / values_D.sum().clamp_min(1e-30)};
}

// 1 on the outermost patches of each picture, [B·N].
torch::Tensor border_of(std::int64_t pictures, std::int64_t side) {
  torch::Tensor border_SS = torch::ones({side, side}, torch::kBool);
  if (side > 2) border_SS.slice(0, 1, side - 1).slice(1, 1, side - 1).fill_(false);
  return border_SS.flatten().repeat({pictures});
}

torch::Tensor foreground_of(const torch::Tensor& first_component_N, const torch::Tensor& border_N) {
  const torch::Tensor positive_N = first_component_N > 0;
  const double positive_share = positive_N.masked_select(border_N).to(torch::kFloat64).mean().item<double>();
  return positive_share <= .5 ? positive_N : positive_N.logical_not();
}

// Foreground components as colours in 0–255, background black: [N, 3] uint8.
torch::Tensor colors_of(const torch::Tensor& tokens_ND, const torch::Tensor& foreground_N) {
  torch::Tensor colors_N3 = torch::zeros({tokens_ND.size(0), 3}, torch::kUInt8);
  const torch::Tensor rows = foreground_N.nonzero().flatten();
  if (rows.size(0) < 8) return colors_N3;  // nothing to analyse
  torch::Tensor chosen_ND = tokens_ND.index_select(0, rows);
  chosen_ND = chosen_ND - chosen_ND.mean(0);
  const torch::Tensor components_N3 =
      torch::mm(chosen_ND.to(torch::kFloat64), principal_directions(chosen_ND, 3).first);
  const torch::Tensor sorted_N3 = std::get<0>(components_N3.sort(0));
  const std::int64_t last = rows.size(0) - 1;
  const torch::Tensor low_3 = sorted_N3[last * 2 / 100];
  const torch::Tensor high_3 = sorted_N3[last * 98 / 100];
  const torch::Tensor scaled_N3 =
      ((components_N3 - low_3) / (high_3 - low_3).clamp_min(1e-12)).clamp(0, 1) * 235 + 20;
  colors_N3.index_copy_(0, rows, scaled_N3.to(torch::kUInt8));
  return colors_N3;
}

std::int64_t components_a_picture(const model::VisionTransformer& backbone, const std::string& features,
                                  std::int64_t side) {
  const std::int64_t width = backbone.options().embed_dim;
  if (features == "patches") return side * side * width;
  return features == "cls_patchmean" ? 2 * width : width;
}

// What a picture's row is made of, [B, components_a_picture].
torch::Tensor rows_of(const model::Features& out, const std::string& features) {
  const torch::Tensor cls_BD = out.cls_BD.to(torch::kFloat32);
  if (features == "cls") return cls_BD;
  const torch::Tensor patches_BND = out.patches_BND.to(torch::kFloat32);
  if (features == "patches") return patches_BND.flatten(1);
  return torch::cat({cls_BD, patches_BND.mean(1)}, 1);
}

}  // namespace

torch::Tensor as_batch_BCHW(const std::vector<const data::Image*>& pictures) {
  PADDOCK_REQUIRE(!pictures.empty());
  const std::int64_t side = pictures.front()->width;
  torch::Tensor batch_BCHW = torch::empty({static_cast<std::int64_t>(pictures.size()), 3, side, side});
  float* out = batch_BCHW.data_ptr<float>();
  for (const data::Image* picture : pictures) {
    PADDOCK_REQUIRE(picture->width == side && picture->height == side, picture->width, picture->height, side);
    data::normalize(*picture, {}, out);
    out += 3 * side * side;
  }
  return batch_BCHW;
}

FeatureTable features_of(const model::VisionTransformer& backbone,
                         const std::vector<const data::Image*>& pictures, const std::string& features,
                         std::size_t batch, int threads, const std::function<void(std::size_t)>& progress) {
  const OneThread one_thread_a_batch;
  const std::int64_t side = pictures.empty() ? 0 : patches_a_side(backbone, *pictures.front());
  FeatureTable table;
  table.dim = static_cast<std::size_t>(components_a_picture(backbone, features, side));
  table.values.resize(pictures.size() * table.dim);
  Guarded<std::size_t> done(0);
  jobs::parallel_for((pictures.size() + batch - 1) / batch, threads, [&](std::size_t number) {
    const torch::InferenceMode inference;  // holds for its thread only
    const std::size_t first = number * batch;
    const std::size_t count = std::min(batch, pictures.size() - first);
    const std::vector<const data::Image*> members(
        pictures.begin() + static_cast<std::ptrdiff_t>(first),
        pictures.begin() + static_cast<std::ptrdiff_t>(first + count));
    const model::Features out = backbone.forward_features(as_batch_BCHW(members));
    const std::vector<float> rows = floats_of(rows_of(out, features));
    PADDOCK_CHECK(rows.size() == count * table.dim, rows.size(), count, table.dim);
    std::copy(rows.begin(), rows.end(),
              table.values.begin() + static_cast<std::ptrdiff_t>(first * table.dim));
    done.with([&](std::size_t& pictures_done) { progress(pictures_done += count); });
  });
  return table;
}

AttentionRow attention_of(const model::VisionTransformer& backbone, const data::Image& picture,
                          const std::string& source) {
  const torch::InferenceMode inference;
  const int side = patches_a_side(backbone, picture);
  const model::VisionTransformerOptions& options = backbone.options();
  const torch::Tensor attention_HQT =
      backbone.last_attention(as_batch_BCHW({&picture}))[0].to(torch::kFloat32);
  const torch::Tensor patches_HQN = attention_HQT.slice(2, 1 + options.registers);
  AttentionRow row;
  row.picture = picture;
  row.source = source;
  const auto maps_of = [&](std::int64_t query) {
    std::vector<data::Image> maps;
    for (std::int64_t head = 0; head < patches_HQN.size(0); ++head)
      maps.push_back(heat_map(floats_of(patches_HQN[head][query]), side));
    return maps;
  };
  row.cls_heads = maps_of(0);
  for (std::int64_t r = 0; r < options.registers; ++r) row.registers.push_back(maps_of(1 + r));
  return row;
}

ComponentsRow components_of(const model::VisionTransformer& backbone,
                            const std::vector<const data::Image*>& pictures) {
  ComponentsRow row;
  if (pictures.empty()) return row;
  const torch::InferenceMode inference;
  const std::int64_t side = patches_a_side(backbone, *pictures.front());
  std::vector<torch::Tensor> tokens;
  for (std::size_t first = 0; first < pictures.size(); first += kPicturesAPass) {
    const std::size_t end = std::min(first + kPicturesAPass, pictures.size());
    const std::vector<const data::Image*> members(pictures.begin() + static_cast<std::ptrdiff_t>(first),
                                                  pictures.begin() + static_cast<std::ptrdiff_t>(end));
    const model::Features out = backbone.forward_features(as_batch_BCHW(members));
    tokens.push_back(out.patches_BND.to(torch::kFloat32).flatten(0, 1));
  }
  const torch::Tensor tokens_ND = torch::cat(tokens);
  const torch::Tensor centred_ND = tokens_ND - tokens_ND.mean(0);
  const auto [directions_D1, shares_1] = principal_directions(centred_ND, 1);
  row.explained = shares_1[0].item<double>();
  const torch::Tensor first_N = torch::mm(centred_ND.to(torch::kFloat64), directions_D1).flatten();
  const torch::Tensor foreground_N =
      foreground_of(first_N, border_of(static_cast<std::int64_t>(pictures.size()), side));
  const torch::Tensor colors_N3 = colors_of(tokens_ND, foreground_N).contiguous();
  const std::uint8_t* colors = colors_N3.data_ptr<std::uint8_t>();
  for (const data::Image* picture : pictures) {
    data::Image map;
    map.width = map.height = static_cast<int>(side);
    map.rgb.assign(colors, colors + side * side * 3);
    colors += side * side * 3;
    row.pictures.push_back(*picture);
    row.components.push_back(std::move(map));
  }
  return row;
}

}  // namespace paddock::evaluate
