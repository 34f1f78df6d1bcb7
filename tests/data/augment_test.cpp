#include "data/augment.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "data/color.h"
#include "tests/data/shards.h"

namespace paddock::data {
namespace {

TEST(Augment, CropsStayInsideThePictureAndCoverTheShareAskedFor) {
  const MultiCropOptions options;
  const ImageSize picture{300, 200};
  double global_share = 0, local_share = 0;
  constexpr int kPositions = 2000;
  for (std::uint64_t position = 0; position < kPositions; ++position)
    for (const int view : {0, 2}) {
      const Box box = draw_crop(picture, options, 1, position, view);
      ASSERT_TRUE(box.left >= 0 && box.top >= 0 && box.width > 0 && box.height > 0);
      ASSERT_TRUE(box.left + box.width <= picture.width && box.top + box.height <= picture.height);
      const double share = box.width * box.height / (300.0 * 200.0);
      ASSERT_LT(view == 0 ? 0.31 : 0.04, share);
      ASSERT_LT(share, view == 0 ? 1.01 : 0.33);
      (view == 0 ? global_share : local_share) += share / kPositions;
    }
  EXPECT_NEAR(local_share, (0.05 + 0.32) / 2, 0.01);
  EXPECT_GT(global_share,
            0.5);  // large shares fit a 3 : 2 picture less often, so below the middle of the range
  EXPECT_LT(global_share, 0.66);
}

TEST(Augment, PicturesTooElongatedForAnyCropGiveTheirCentre) {
  const Box box = draw_crop({1000, 10}, {}, 1, 0, 0);
  EXPECT_EQ(box.height, 10);
  EXPECT_EQ(box.width, 13);
  EXPECT_EQ(box.left, 493);
}

TEST(Augment, AViewIsAFunctionOfItsKeyAndEveryViewIsItsOwn) {
  MultiCropOptions options;
  options.global_size = 42;
  const Image picture = pattern(80, 60, 1);
  const auto view = [&](std::uint64_t seed, std::uint64_t position, int which) {
    std::vector<float> values(3 * 42 * 42);
    make_view(picture, options, seed, position, which, values.data());
    return values;
  };
  EXPECT_EQ(view(1, 2, 0), view(1, 2, 0));
  EXPECT_NE(view(1, 2, 0), view(1, 2, 1));
  EXPECT_NE(view(1, 2, 0), view(1, 3, 0));
  EXPECT_NE(view(1, 2, 0), view(2, 2, 0));
}

TEST(Augment, WithEverythingOffAViewIsTheResizedCrop) {
  MultiCropOptions options;
  options.global_size = 42;
  options.flip_probability = options.jitter_probability = options.grayscale_probability = 0;
  options.blur_probability_global_2 = options.solarize_probability = 0;
  const Image picture = pattern(80, 60, 1);
  std::vector<float> have(3 * 42 * 42), want(3 * 42 * 42);
  make_view(picture, options, 1, 2, 1, have.data());
  normalize(resize(picture, draw_crop({80, 60}, options, 1, 2, 1), 42, 42), options.normalization,
            want.data());
  EXPECT_EQ(have, want);
}

TEST(Augment, FlatPicturesStayFlatUnderResizeAndBlur) {
  Image flat(37, 23);
  std::fill(flat.rgb.begin(), flat.rgb.end(), std::uint8_t{201});
  Image resized = resize(flat, 12, 50);
  gaussian_blur(resized, 1.5);
  EXPECT_TRUE(std::all_of(resized.rgb.begin(), resized.rgb.end(), [](std::uint8_t v) { return v == 201; }));
}

TEST(Augment, TheWholePictureFitsAPaddedSquareOnWhite) {
  Image dark(40, 20);  // black
  const Image square = eval_square(dark, 40, EvalFit::kPad);
  EXPECT_EQ(square.row(0)[0], 255);
  EXPECT_EQ(square.row(20)[60], 0);
  EXPECT_EQ(square.row(39)[0], 255);
}

TEST(Augment, ViewsOfAPictureOfOnePixelExist) {
  Image dot(1, 1);
  MultiCropOptions options;
  options.global_size = options.local_size = 14;
  std::vector<float> values(3 * 14 * 14);
  for (int view = 0; view < 4; ++view) make_view(dot, options, 1, 1, view, values.data());
}

}  // namespace
}  // namespace paddock::data
