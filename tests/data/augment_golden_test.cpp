// The operators against the reference pipeline's outputs: tests/golden/augment.json says what was run.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "data/augment.h"
#include "data/color.h"
#include "storage/safetensors.h"

namespace paddock::data {
namespace {

using nlohmann::json;

// The mean difference allowed, and how far 99.9 % of the values may be off, in steps of 255.
struct Tolerance {
  double mean = 0;
  double most = 0;
};
// Integer operators agree to the bit; where the reference goes through float there may be a step.
constexpr Tolerance kExact{0, 0};
constexpr Tolerance kOneStep{0.02, 1};
constexpr Tolerance kChain{0.1, 1.01};

class AugmentGolden : public testing::Test {
 protected:
  void SetUp() override {
    const std::string folder = std::string(PADDOCK_SOURCE_DIR) + "/tests/golden/";
    std::ifstream text(folder + "augment.json");
    cases_ = json::parse(text);
    auto file = storage::read_safetensors(disk_, folder + "augment.safetensors");
    ASSERT_TRUE(file) << file.error().message;
    file_ = *std::move(file);
    picture_ = image("image");
  }

  Image image(const std::string& name) const {
    const storage::TensorBytes& tensor = *file_.find(name);
    Image out(static_cast<int>(tensor.shape[1]), static_cast<int>(tensor.shape[0]));
    std::memcpy(out.rgb.data(), tensor.bytes.data(), tensor.bytes.size());
    return out;
  }

  std::vector<float> floats(const std::string& name) const {
    const storage::TensorBytes& tensor = *file_.find(name);
    std::vector<float> out(tensor.bytes.size() / sizeof(float));
    std::memcpy(out.data(), tensor.bytes.data(), tensor.bytes.size());
    return out;
  }

  std::vector<json> all(const std::string& op) const {
    std::vector<json> found;
    for (const json& entry : cases_.at("ops"))
      if (entry.at("op") == op) found.push_back(entry);
    EXPECT_FALSE(found.empty()) << op;
    return found;
  }

  static void expect_near(std::vector<double> differences, Tolerance allowed, const std::string& name) {
    ASSERT_FALSE(differences.empty());
    double sum = 0;
    for (double& difference : differences) sum += difference = std::abs(difference);
    std::sort(differences.begin(), differences.end());
    EXPECT_LE(sum / static_cast<double>(differences.size()), allowed.mean) << name;
    EXPECT_LE(differences[differences.size() * 999 / 1000], allowed.most) << name;
  }

  void expect_pixels(const Image& have, const json& entry, Tolerance allowed) const {
    const std::string name = entry.at("output");
    const Image want = image(name);
    ASSERT_EQ(have.rgb.size(), want.rgb.size()) << name;
    std::vector<double> differences;
    for (std::size_t i = 0; i < have.rgb.size(); ++i) differences.push_back(have.rgb[i] - want.rgb[i]);
    expect_near(std::move(differences), allowed, name);
  }

  void expect_values(const std::vector<float>& have, const json& entry, Tolerance allowed) const {
    const std::vector<float> want = floats(entry.at("output"));
    ASSERT_EQ(have.size(), want.size());
    const std::size_t channel = have.size() / 3;
    std::vector<double> differences;
    for (std::size_t i = 0; i < have.size(); ++i)
      differences.push_back((have[i] - want[i]) * Normalization{}.std[i / channel] * 255);
    expect_near(std::move(differences), allowed, entry.at("output"));
  }

  // Runs `change(image, entry)` on the picture for each case of `op`.
  template <typename Change>
  void check_each(const std::string& op, Tolerance allowed, Change change) const {
    for (const json& entry : all(op)) {
      Image changed = picture_;
      change(changed, entry);
      expect_pixels(changed, entry, allowed);
    }
  }

  storage::RealDisk disk_;
  storage::SafetensorsFile file_;
  json cases_;
  Image picture_;
};

TEST_F(AugmentGolden, ResizedCropsAgreeToTheBit) {
  for (const json& entry : all("resized_crop")) {
    const Box box{entry.at("left"), entry.at("top"), entry.at("width"), entry.at("height")};
    expect_pixels(resize(picture_, box, entry.at("size"), entry.at("size")), entry, kExact);
  }
}

TEST_F(AugmentGolden, BrightnessContrastAndSaturationAgreeToTheBit) {
  check_each("brightness", kExact,
             [](Image& image, const json& entry) { adjust_brightness(image, entry.at("factor")); });
  check_each("contrast", kExact,
             [](Image& image, const json& entry) { adjust_contrast(image, entry.at("factor")); });
  check_each("saturation", kExact,
             [](Image& image, const json& entry) { adjust_saturation(image, entry.at("factor")); });
}

TEST_F(AugmentGolden, HueGrayscaleSolarizeAndFlipAgreeToTheBit) {
  check_each("hue", kExact, [](Image& image, const json& entry) { adjust_hue(image, entry.at("factor")); });
  check_each("grayscale", kExact, [](Image& image, const json&) { to_grayscale(image); });
  check_each("solarize", kExact,
             [](Image& image, const json& entry) { solarize(image, entry.at("threshold")); });
  check_each("flip", kExact, [](Image& image, const json&) { flip_horizontal(image); });
}

TEST_F(AugmentGolden, BlurAgreesWithinAStep) {
  check_each("gaussian_blur", kOneStep,
             [](Image& image, const json& entry) { gaussian_blur(image, entry.at("sigma")); });
}

TEST_F(AugmentGolden, TheWholeChainAgreesWithinAStep) {
  Image image = resize(picture_, Box{20, 10, 170, 150}, 224, 224);
  flip_horizontal(image);
  adjust_contrast(image, 1.2);
  adjust_hue(image, 0.05);
  adjust_brightness(image, 0.8);
  adjust_saturation(image, 1.1);
  gaussian_blur(image, 1.3);
  solarize(image, 128);
  std::vector<float> values(image.rgb.size());
  normalize(image, {}, values.data());
  expect_values(values, all("chain").front(), kChain);
}

TEST_F(AugmentGolden, TheEvaluationViewAgrees) {
  std::vector<float> values(3 * 224 * 224);
  eval_view(picture_, 224, values.data(), EvalFit::kCrop, 256);
  expect_values(values, all("eval_transform").front(), {0.001, 0.001});
}

}  // namespace
}  // namespace paddock::data
