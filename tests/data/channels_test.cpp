// Pictures of one and of four channels, from the file to the network's numbers.
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "data/augment.h"
#include "data/color.h"
#include "data/decode.h"
#include "data/loader.h"
#include "tests/data/shards.h"
#include "tests/temporary_folder.h"

namespace paddock::data {
namespace {

// Its fourth channel is its red one, but hidden from a reader that lays it on white.
Image with_alpha(Image image) {
  image.alpha.resize(image.rgb.size() / 3);
  for (std::size_t i = 0; i < image.alpha.size(); ++i) image.alpha[i] = image.rgb[3 * i];
  return image;
}

MultiCropOptions options_of(const Normalization& normalization) {
  MultiCropOptions options;
  options.global_size = 28;
  options.local_size = 14;
  options.normalization = normalization;
  return options;
}

std::vector<float> view_of(const Image& image, const MultiCropOptions& options, int view) {
  const auto side = static_cast<std::size_t>(view < 2 ? options.global_size : options.local_size);
  std::vector<float> values(side * side * options.normalization.mean.size());
  make_view(image, options, 3, 5, view, values.data());
  return values;
}

TEST(Channels, AFourthIsKeptWithTheColoursAsTheyAreStored) {
  const Image image = with_alpha(pattern(23, 17, 2));
  const auto file = encode_png(image);
  const auto kept = decode_image(file, {}, 4);
  ASSERT_TRUE(kept) << kept.error().message;
  EXPECT_EQ(*kept, image);
  const auto on_white = decode_image(file);
  ASSERT_TRUE(on_white) << on_white.error().message;
  EXPECT_TRUE(on_white->alpha.empty());
  EXPECT_NE(on_white->rgb, image.rgb);
}

TEST(Channels, APictureWithoutAFourthIsOpaque) {
  const auto image = decode_image(encode_png(pattern(8, 9, 1)), {}, 4);
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(image->rgb, pattern(8, 9, 1).rgb);
  EXPECT_EQ(image->alpha, std::vector<std::uint8_t>(72, 255));
}

TEST(Channels, OneIsTheLumaOfTheColours) {
  Image colors(3, 1);
  colors.rgb = {255, 0, 0, 10, 200, 30, 7, 7, 7};
  const auto grey = decode_image(encode_png(colors), {}, 1);
  ASSERT_TRUE(grey) << grey.error().message;
  // .299 R + .587 G + .114 B
  EXPECT_EQ(grey->rgb, (std::vector<std::uint8_t>{76, 76, 76, 124, 124, 124, 7, 7, 7}));
  std::vector<float> values(3);
  normalize(colors, {{.25}, {.5}}, values.data());
  EXPECT_FLOAT_EQ(values[0], (76 / 255.f - .25f) / .5f);
  EXPECT_FLOAT_EQ(values[1], (124 / 255.f - .25f) / .5f);
  EXPECT_FLOAT_EQ(values[2], (7 / 255.f - .25f) / .5f);
}

// No operator turns a grey picture into another colour, so its view has one channel three times over.
TEST(Channels, AViewOfOneIsTheViewOfTheGreyPicture) {
  Image grey = pattern(60, 50, 4);
  to_grayscale(grey);
  const auto one = options_of({{.3}, {.2}}), three = options_of({{.3, .3, .3}, {.2, .2, .2}});
  for (int view = 0; view < 10; ++view) {
    const auto single = view_of(grey, one, view), triple = view_of(grey, three, view);
    ASSERT_EQ(triple.size(), 3 * single.size());
    for (std::size_t i = 0; i < triple.size(); ++i)
      ASSERT_EQ(triple[i], single[i % single.size()]) << "view " << view << ", value " << i;
  }
}

TEST(Channels, AViewOfFourIsThatOfThreeAndTheFourthInTheSamePlace) {
  const Image image = with_alpha(pattern(60, 50, 4));
  auto four = options_of({{.3, .3, .3, .3}, {.2, .2, .2, .2}}),
       three = options_of({{.3, .3, .3}, {.2, .2, .2}});
  for (int view = 0; view < 10; ++view) {
    const auto all = view_of(image, four, view), colors = view_of(image, three, view);
    EXPECT_TRUE(std::equal(colors.begin(), colors.end(), all.begin())) << "view " << view;
  }
  // With the colours left alone, what is made of the fourth is what is made of red.
  for (auto* options : {&four, &three}) {
    options->jitter_probability = options->grayscale_probability = options->solarize_probability = 0;
    options->blur_probability_global_2 = options->blur_probability_local = 0;
  }
  for (int view = 0; view < 10; ++view) {
    const auto all = view_of(image, four, view);
    const std::size_t pixels = all.size() / 4;
    EXPECT_TRUE(std::equal(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(pixels),
                           all.begin() + static_cast<std::ptrdiff_t>(3 * pixels)))
        << "view " << view;
  }
}

TEST(Channels, OperatorsOnColoursLeaveAFourthAsItIs) {
  const Image image = with_alpha(pattern(20, 20, 6));
  Image changed = image;
  adjust_brightness(changed, .5);
  adjust_hue(changed, .2);
  gaussian_blur(changed, 1.5);
  solarize(changed);
  to_grayscale(changed);
  EXPECT_NE(changed.rgb, image.rgb);
  EXPECT_EQ(changed.alpha, image.alpha);
}

TEST(Channels, EvaluationKeepsAFourthInPlaceAndAddsTransparentWhite) {
  const Image image = with_alpha(pattern(40, 20, 1));
  const Image cut = eval_square(image, 16);
  ASSERT_EQ(cut.alpha.size(), 256u);
  for (std::size_t i = 0; i < cut.alpha.size(); ++i) ASSERT_EQ(cut.alpha[i], cut.rgb[3 * i]) << i;
  const Image padded = eval_square(image, 40, EvalFit::kPad);
  ASSERT_EQ(padded.alpha.size(), 1600u);
  EXPECT_EQ(padded.rgb[0], 255);
  EXPECT_EQ(padded.alpha[0], 0);
  EXPECT_EQ(padded.alpha[10 * 40], image.alpha[0]);
  EXPECT_EQ(padded.alpha[29 * 40 + 39], image.alpha[19 * 40 + 39]);
  EXPECT_EQ(padded.alpha[30 * 40], 0);
}

TEST(Channels, BytesBecomeTheNumbersThatTheirChannelsMeanAndDeviationSay) {
  Image image(2, 1);
  image.rgb = {0, 51, 102, 153, 204, 255};
  std::vector<float> values(8);
  normalize(image, {{.1, .2, .3, .4}, {.5, .6, .7, .8}}, values.data());
  const float mean[] = {.1f, .2f, .3f, .4f}, deviation[] = {.5f, .6f, .7f, .8f};
  const float bytes[4][2] = {{0, 153}, {51, 204}, {102, 255}, {255, 255}};  // opaque
  for (std::size_t c = 0; c < 4; ++c)
    for (std::size_t i = 0; i < 2; ++i)
      EXPECT_FLOAT_EQ(values[2 * c + i], (bytes[c][i] / 255 - mean[c]) / deviation[c]) << c << ' ' << i;
}

TEST(Channels, TheUsualNormalisationIsImageNets) {
  EXPECT_EQ(usual_normalization(3), Normalization{});
  for (const int channels : {1, 3, 4}) {
    const Normalization usual = usual_normalization(channels);
    EXPECT_EQ(usual.channels(), channels);
    EXPECT_EQ(usual.std.size(), usual.mean.size());
  }
}

class ChannelsOfBatches : public testing::Test {
 protected:
  TemporaryFolder folder_;
  storage::RealDisk disk_;
};

TEST_F(ChannelsOfBatches, ABatchHasTheChannelsOfTheNormalisation) {
  auto writer = storage::ShardWriter::open(disk_, folder_.path() / "set");
  ASSERT_TRUE(writer) << writer.error().message;
  for (int i = 0; i < 4; ++i) {
    const auto png = encode_png(with_alpha(pattern(40, 36, i)));
    ASSERT_TRUE(writer->add("picture-" + std::to_string(i), {{"png", png}}));
  }
  ASSERT_TRUE(writer->finish());
  const auto set = storage::ShardSet::open(disk_, folder_.path() / "set");
  ASSERT_TRUE(set) << set.error().message;
  LoaderOptions options;
  options.patch_size = 7;
  options.global_batch = 4;
  for (const int channels : {1, 3, 4}) {
    options.views = options_of(usual_normalization(channels));
    options.views.num_local = 2;
    const Batch batch = Loader(*set, options, 0).next();
    const auto wide = static_cast<std::size_t>(channels);
    ASSERT_EQ(batch.globals.size(), 2 * 4 * wide * 28 * 28);
    ASSERT_EQ(batch.locals.size(), 2 * 4 * wide * 14 * 14);
    for (std::size_t slot = 0; slot < 4; ++slot) {
      const auto picture = decode_image(
          encode_png(with_alpha(pattern(40, 36, static_cast<int>(batch.indices[slot])))), {}, channels);
      std::vector<float> wanted(wide * 28 * 28);
      make_view(*picture, options.views, options.seed, batch.positions[slot], 0, wanted.data());
      EXPECT_TRUE(std::equal(wanted.begin(), wanted.end(),
                             batch.globals.begin() + static_cast<std::ptrdiff_t>(slot * wanted.size())))
          << channels << " channels, picture " << slot;
    }
  }
  options.views.normalization = {{.5, .5}, {.5, .5}};
  EXPECT_THROW(Loader(*set, options, 0), std::invalid_argument);
  options.views.normalization = {{.5, .5, .5}, {.5}};
  EXPECT_THROW(Loader(*set, options, 0), std::invalid_argument);
}

}  // namespace
}  // namespace paddock::data
