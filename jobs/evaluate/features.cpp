// Letters: B pictures, C channels, H W pixels, N patches a picture, D width, R registers; of attention H heads.
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

using Pictures = std::vector<const data::Image*>;

model::Grid grid_of(const model::VisionTransformer& backbone, const data::Image& picture) {
  return backbone.grid_of(picture.height, picture.width);
}

bool are_of_one_size(const data::Image& a, const data::Image& b) {
  return a.width == b.width && a.height == b.height;
}

// Runs of pictures of one size, at most `batch` each: where the first of each is, and the end.
std::vector<std::size_t> batches_of(const Pictures& pictures, std::size_t batch) {
  std::vector<std::size_t> starts;
  for (std::size_t i = 0; i < pictures.size(); ++i)
    if (starts.empty() || i - starts.back() == batch || !are_of_one_size(*pictures[i], *pictures[i - 1]))
      starts.push_back(i);
  starts.push_back(pictures.size());
  return starts;
}

Pictures between(const Pictures& pictures, std::size_t first, std::size_t end) {
  return {pictures.begin() + static_cast<std::ptrdiff_t>(first),
          pictures.begin() + static_cast<std::ptrdiff_t>(end)};
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

// 1 on the outermost patches of a picture, [N].
torch::Tensor border_of(model::Grid grid) {
  torch::Tensor border = torch::ones({grid.rows, grid.columns}, torch::kBool);
  if (grid.rows > 2 && grid.columns > 2)
    border.slice(0, 1, grid.rows - 1).slice(1, 1, grid.columns - 1).fill_(false);
  return border.flatten();
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
                                  const Pictures& pictures) {
  const std::int64_t width = backbone.options().embed_dim;
  if (features != "patches") return features == "cls_patchmean" ? 2 * width : width;
  const model::Grid first = pictures.empty() ? model::Grid{} : grid_of(backbone, *pictures.front());
  for (const data::Image* picture : pictures) {
    const model::Grid grid = grid_of(backbone, *picture);
    if (grid != first)
      throw std::invalid_argument(
          "patches make one table only where every picture has the same grid of them, and "
          "there are " +
          std::to_string(first.rows) + " x " + std::to_string(first.columns) + " and " +
          std::to_string(grid.rows) + " x " + std::to_string(grid.columns));
  }
  return first.rows * first.columns * width;
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

torch::Tensor as_batch_BCHW(const Pictures& pictures, const data::Normalization& normalization) {
  PADDOCK_REQUIRE(!pictures.empty());
  const data::Image& first = *pictures.front();
  torch::Tensor batch_BCHW = torch::empty(
      {static_cast<std::int64_t>(pictures.size()), normalization.channels(), first.height, first.width});
  float* out = batch_BCHW.data_ptr<float>();
  for (const data::Image* picture : pictures) {
    PADDOCK_REQUIRE(are_of_one_size(*picture, first), picture->width, picture->height, first.width,
                    first.height);
    data::normalize(*picture, normalization, out);
    out += batch_BCHW.stride(0);
  }
  return batch_BCHW;
}

FeatureTable features_of(const model::VisionTransformer& backbone, const data::Normalization& normalization,
                         const Pictures& pictures, const std::string& features, std::size_t batch,
                         int threads, const std::function<void(std::size_t)>& progress) {
  const OneThread one_thread_a_batch;
  for (const data::Image* picture : pictures)
    grid_of(backbone, *picture);  // refuses before anything is computed
  FeatureTable table;
  table.dim = static_cast<std::size_t>(components_a_picture(backbone, features, pictures));
  table.values.resize(pictures.size() * table.dim);
  Guarded<std::size_t> done(0);
  const std::vector<std::size_t> starts = batches_of(pictures, batch);
  jobs::parallel_for(starts.size() - 1, threads, [&](std::size_t number) {
    const torch::InferenceMode inference;  // holds for its thread only
    const std::size_t first = starts[number], count = starts[number + 1] - first;
    const model::Features out =
        backbone.forward_features(as_batch_BCHW(between(pictures, first, first + count), normalization));
    const std::vector<float> rows = floats_of(rows_of(out, features));
    PADDOCK_CHECK(rows.size() == count * table.dim, rows.size(), count, table.dim);
    std::copy(rows.begin(), rows.end(),
              table.values.begin() + static_cast<std::ptrdiff_t>(first * table.dim));
    done.with([&](std::size_t& pictures_done) { progress(pictures_done += count); });
  });
  return table;
}

AttentionRow attention_of(const model::VisionTransformer& backbone, const data::Normalization& normalization,
                          const data::Image& picture, const std::string& source) {
  const torch::InferenceMode inference;
  const auto columns = static_cast<int>(grid_of(backbone, picture).columns);
  const model::VisionTransformerOptions& options = backbone.options();
  const torch::Tensor attention_HQT =
      backbone.last_attention(as_batch_BCHW({&picture}, normalization))[0].to(torch::kFloat32);
  const torch::Tensor patches_HQN = attention_HQT.slice(2, 1 + options.registers);
  AttentionRow row;
  row.picture = picture;
  row.source = source;
  const auto maps_of = [&](std::int64_t query) {
    std::vector<data::Image> maps;
    for (std::int64_t head = 0; head < patches_HQN.size(0); ++head)
      maps.push_back(heat_map(floats_of(patches_HQN[head][query]), columns));
    return maps;
  };
  row.cls_heads = maps_of(0);
  for (std::int64_t r = 0; r < options.registers; ++r) row.registers.push_back(maps_of(1 + r));
  return row;
}

ComponentsRow components_of(const model::VisionTransformer& backbone,
                            const data::Normalization& normalization, const Pictures& pictures) {
  ComponentsRow row;
  if (pictures.empty()) return row;
  const torch::InferenceMode inference;
  std::vector<torch::Tensor> tokens, borders;
  for (const data::Image* picture : pictures) borders.push_back(border_of(grid_of(backbone, *picture)));
  const std::vector<std::size_t> starts = batches_of(pictures, kPicturesAPass);
  for (std::size_t i = 0; i + 1 < starts.size(); ++i) {
    const model::Features out =
        backbone.forward_features(as_batch_BCHW(between(pictures, starts[i], starts[i + 1]), normalization));
    tokens.push_back(out.patches_BND.to(torch::kFloat32).flatten(0, 1));
  }
  const torch::Tensor tokens_ND = torch::cat(tokens);
  const torch::Tensor centred_ND = tokens_ND - tokens_ND.mean(0);
  const auto [directions_D1, shares_1] = principal_directions(centred_ND, 1);
  row.explained = shares_1[0].item<double>();
  const torch::Tensor first_N = torch::mm(centred_ND.to(torch::kFloat64), directions_D1).flatten();
  const torch::Tensor foreground_N = foreground_of(first_N, torch::cat(borders));
  const torch::Tensor colors_N3 = colors_of(tokens_ND, foreground_N).contiguous();
  const std::uint8_t* colors = colors_N3.data_ptr<std::uint8_t>();
  for (const data::Image* picture : pictures) {
    const model::Grid grid = grid_of(backbone, *picture);
    data::Image map(static_cast<int>(grid.columns), static_cast<int>(grid.rows));
    std::copy_n(colors, map.rgb.size(), map.rgb.begin());
    colors += map.rgb.size();
    row.pictures.push_back(*picture);
    row.components.push_back(std::move(map));
  }
  return row;
}

}  // namespace paddock::evaluate
