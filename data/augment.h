// data/augment.h – the views that training and evaluation see of a picture, as normalised floats.
// Source: DINOv2 (arXiv 2304.07193) and its published recipe: two global crops and several local ones, each
// with its own geometry and colours. A view is a function of (picture, options, seed, position, view) and of
// nothing else: the draws are counter-based (base/random.h), so views can be made in any order, by any
// thread, again after a restart. Threads: pure functions.
#pragma once

#include <cstdint>

#include "data/image.h"
#include "data/normalization.h"
#include "data/resize.h"

namespace paddock::data {

struct MultiCropOptions {
  int global_size = 224;  // pixels, a multiple of the patch size; more: finer detail, quadratic cost
  int local_size = 98;
  int num_local = 8;
  double global_scale_min = 0.32;  // share of the picture's area that a crop covers
  double global_scale_max = 1.0;
  double local_scale_min = 0.05;
  double local_scale_max = 0.32;
  double ratio_min = 3.0 / 4.0;  // width : height of a crop before it is made square
  double ratio_max = 4.0 / 3.0;
  double flip_probability = 0.5;
  double jitter_probability = 0.8;  // brightness, contrast, saturation and hue together, in drawn order
  double brightness = 0.4;          // factor from [1 − x, 1 + x]
  double contrast = 0.4;
  double saturation = 0.2;
  double hue = 0.1;  // shift from [−x, x]
  double grayscale_probability = 0.2;
  // The probabilities that the released models were trained with; the reference code declares 1 − p (its
  // issue v3#286).
  double blur_probability_global_1 = 0.0;
  double blur_probability_global_2 = 0.9;
  double blur_probability_local = 0.5;
  double blur_sigma_min = 0.1;  // pixels
  double blur_sigma_max = 2.0;
  double solarize_probability = 0.2;  // of the second global crop
  Normalization
      normalization;  // its channels are those of the views; the operators on colours leave a fourth as it is
};

// The box of a crop as torchvision's RandomResizedCrop draws it: ten tries, else the largest centred box
// whose ratio is allowed. `view`: 0 and 1 are the global crops, 2 … 1 + num_local the local ones.
Box draw_crop(ImageSize picture, const MultiCropOptions& options, std::uint64_t seed, std::uint64_t position,
              int view);

// Writes the view [C, S, S], S = global_size for views 0 and 1, else local_size. The picture has at least one
// pixel; for one channel decode it to grey, so that no jitter of colours reaches the luma.
void make_view(const Image& picture, const MultiCropOptions& options, std::uint64_t seed,
               std::uint64_t position, int view, float* out_CHW);

enum class EvalFit {
  kCrop,  // short side to the size, then the centre: loses borders, keeps proportions
  kPad,   // white added to a square, then resized: loses nothing; for cut-out pictures on white
};

// The picture as evaluation sees it, size × size, still 8-bit. kCrop: the short side becomes `resize_side`
// first (0: size).
Image eval_square(const Image& picture, int size, EvalFit fit = EvalFit::kCrop, int resize_side = 0);
// The same, normalised: [C, size, size].
void eval_view(const Image& picture, int size, float* out_CHW, EvalFit fit = EvalFit::kCrop,
               int resize_side = 0, const Normalization& normalization = {});

}  // namespace paddock::data
