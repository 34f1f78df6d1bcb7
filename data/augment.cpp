#include "data/augment.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "data/color.h"

namespace paddock::data {
namespace {

bool is_global(int view) {
  return view < 2;
}

Draws geometry_draws(std::uint64_t seed, std::uint64_t position, int view) {
  return Draws(seed, position, Purpose::kCrop, static_cast<std::uint32_t>(view));
}

Box crop_from(ImageSize picture, const MultiCropOptions& options, int view, Draws& draws) {
  const double area = static_cast<double>(picture.width) * picture.height;
  const double scale_min = is_global(view) ? options.global_scale_min : options.local_scale_min;
  const double scale_max = is_global(view) ? options.global_scale_max : options.local_scale_max;
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double target = area * draws.uniform(scale_min, scale_max);
    const double ratio = std::exp(draws.uniform(std::log(options.ratio_min), std::log(options.ratio_max)));
    const int width = static_cast<int>(std::lround(std::sqrt(target * ratio)));
    const int height = static_cast<int>(std::lround(std::sqrt(target / ratio)));
    if (width <= 0 || height <= 0 || width > picture.width || height > picture.height) continue;
    const auto top = static_cast<int>(draws.below(static_cast<std::uint64_t>(picture.height - height) + 1));
    const auto left = static_cast<int>(draws.below(static_cast<std::uint64_t>(picture.width - width) + 1));
    return {left, top, width, height};
  }
  const double ratio = static_cast<double>(picture.width) / picture.height;
  Box box{0, 0, picture.width, picture.height};
  if (ratio < options.ratio_min) box.height = static_cast<int>(std::lround(box.width / options.ratio_min));
  if (ratio > options.ratio_max) box.width = static_cast<int>(std::lround(box.height * options.ratio_max));
  box.height = std::clamp(box.height, 1, picture.height);
  box.width = std::clamp(box.width, 1, picture.width);
  box.top = (picture.height - box.height) / 2;
  box.left = (picture.width - box.width) / 2;
  return box;
}

// Everything that is random about a view's colours. All of it is drawn whether used or not, so that changing
// one probability leaves the other draws of the view as they were.
struct ColorPlan {
  bool jitters = false;
  std::array<int, 4> order{0, 1, 2, 3};  // of brightness, contrast, saturation, hue
  std::array<double, 4> amounts{};
  bool turns_gray = false;
  bool blurs = false;
  double sigma = 0;
  bool solarizes = false;
};

ColorPlan draw_colors(const MultiCropOptions& options, std::uint64_t seed, std::uint64_t position, int view) {
  Draws draws(seed, position, Purpose::kColor, static_cast<std::uint32_t>(view));
  const auto around_one = [&](double reach) {
    return draws.uniform(std::max(0.0, 1.0 - reach), 1.0 + reach);
  };
  const double blur_probability = view == 0   ? options.blur_probability_global_1
                                  : view == 1 ? options.blur_probability_global_2
                                              : options.blur_probability_local;
  ColorPlan plan;
  plan.jitters = draws.uniform() < options.jitter_probability;
  for (std::size_t i = 3; i > 0; --i) std::swap(plan.order[i], plan.order[draws.below(i + 1)]);
  plan.amounts[0] = around_one(options.brightness);
  plan.amounts[1] = around_one(options.contrast);
  plan.amounts[2] = around_one(options.saturation);
  plan.amounts[3] = draws.uniform(-options.hue, options.hue);
  plan.turns_gray = draws.uniform() < options.grayscale_probability;
  plan.blurs = draws.uniform() < blur_probability;
  plan.sigma = draws.uniform(options.blur_sigma_min, options.blur_sigma_max);
  plan.solarizes = draws.uniform() < options.solarize_probability && view == 1;
  return plan;
}

void change_colors(Image& image, const ColorPlan& plan) {
  if (plan.jitters)
    for (const int which : plan.order) {
      const double amount = plan.amounts[static_cast<std::size_t>(which)];
      switch (which) {
        case 0:
          adjust_brightness(image, amount);
          break;
        case 1:
          adjust_contrast(image, amount);
          break;
        case 2:
          adjust_saturation(image, amount);
          break;
        default:
          adjust_hue(image, amount);
          break;
      }
    }
  if (plan.turns_gray) to_grayscale(image);
  if (plan.blurs) gaussian_blur(image, plan.sigma);
  if (plan.solarizes) solarize(image);
}

Image padded_to_square(const Image& picture) {
  const int side = std::max(picture.width, picture.height);
  Image square(side, side);
  std::fill(square.rgb.begin(), square.rgb.end(), std::uint8_t{255});
  const auto left = static_cast<std::size_t>((side - picture.width) / 2);
  const int top = (side - picture.height) / 2;
  for (int y = 0; y < picture.height; ++y)
    std::memcpy(square.row(top + y) + left * 3, picture.row(y), static_cast<std::size_t>(picture.width) * 3);
  if (picture.alpha.empty()) return square;
  square.alpha.resize(square.rgb.size() / 3);  // what is added is transparent
  const auto width = static_cast<std::size_t>(picture.width), wide = static_cast<std::size_t>(side);
  for (std::size_t y = 0; y < static_cast<std::size_t>(picture.height); ++y)
    std::memcpy(&square.alpha[(static_cast<std::size_t>(top) + y) * wide + left], &picture.alpha[y * width],
                width);
  return square;
}

}  // namespace

Box draw_crop(ImageSize picture, const MultiCropOptions& options, std::uint64_t seed, std::uint64_t position,
              int view) {
  PADDOCK_REQUIRE(picture.width > 0 && picture.height > 0, picture.width, picture.height);
  Draws draws = geometry_draws(seed, position, view);
  return crop_from(picture, options, view, draws);
}

void make_view(const Image& picture, const MultiCropOptions& options, std::uint64_t seed,
               std::uint64_t position, int view, float* out_CHW) {
  PADDOCK_REQUIRE(picture.width > 0 && picture.height > 0, picture.width, picture.height);
  Draws draws = geometry_draws(seed, position, view);
  const Box box = crop_from({picture.width, picture.height}, options, view, draws);
  const bool is_flipped = draws.uniform() < options.flip_probability;
  const int size = is_global(view) ? options.global_size : options.local_size;
  Image image = resize(picture, box, size, size);
  if (is_flipped) flip_horizontal(image);
  change_colors(image, draw_colors(options, seed, position, view));
  normalize(image, options.normalization, out_CHW);
}

Image eval_square(const Image& picture, int size, EvalFit fit, int resize_side) {
  PADDOCK_REQUIRE(picture.width > 0 && picture.height > 0 && size > 0, picture.width, picture.height, size);
  if (fit == EvalFit::kPad) return resize(padded_to_square(picture), size, size);
  const int shorter = resize_side == 0 ? size : resize_side;
  PADDOCK_REQUIRE(shorter >= size, resize_side, size);
  const auto longer = [shorter](std::int64_t of, std::int64_t than) {
    return static_cast<int>(shorter * of / than);
  };
  const bool is_wide = picture.width > picture.height;
  const int width = is_wide ? longer(picture.width, picture.height) : shorter;
  const int height = is_wide ? shorter : longer(picture.height, picture.width);
  const Image resized = resize(picture, width, height);
  // Half to even, as the reference's rounding of the offset.
  const auto offset = [size](int side) { return static_cast<int>(std::nearbyint((side - size) / 2.0)); };
  return resize(resized, Box{offset(width), offset(height), size, size}, size, size);
}

void eval_view(const Image& picture, int size, float* out_CHW, EvalFit fit, int resize_side,
               const Normalization& normalization) {
  normalize(eval_square(picture, size, fit, resize_side), normalization, out_CHW);
}

}  // namespace paddock::data
