// The operators against the reference pipeline's outputs: tests/golden/augment.json says what was run.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

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
    const char* given = std::getenv("PADDOCK_GOLDEN_DIR");
    const std::string folder =
        std::string(given == nullptr ? PADDOCK_SOURCE_DIR "/tests/golden" : given) + "/";
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

// One word of a chain's description: a name with its numbers, "blur(9,1.3)" or "contrast1.2".
struct Word {
  std::string name;
  std::vector<double> numbers;
};

std::vector<Word> words_of(const std::string& text) {
  std::vector<Word> words;
  std::istringstream in(text);
  for (std::string piece; in >> piece;) {
    const auto is_of_number = [](char c) { return (c >= '0' && c <= '9') || c == '.' || c == '-'; };
    Word word;
    for (std::size_t at = 0; at < piece.size();) {
      if (!is_of_number(piece[at])) {
        if (word.numbers.empty() && (std::isalpha(static_cast<unsigned char>(piece[at])) || piece[at] == '_'))
          word.name += piece[at];
        ++at;
        continue;
      }
      std::size_t used = 0;
      word.numbers.push_back(std::stod(piece.substr(at), &used));
      at += used;
    }
    words.push_back(std::move(word));
  }
  return words;
}

// What torchvision is told is (top, left, height, width → size).
void apply(const Word& word, Image& image) {
  const auto number = [&](std::size_t i) { return word.numbers.at(i); };
  const auto whole = [&](std::size_t i) { return static_cast<int>(word.numbers.at(i)); };
  if (word.name == "resized_crop")
    image = resize(image, Box{whole(1), whole(0), whole(3), whole(2)}, whole(4), whole(4));
  else if (word.name == "flip")
    flip_horizontal(image);
  else if (word.name == "contrast")
    adjust_contrast(image, number(0));
  else if (word.name == "hue")
    adjust_hue(image, number(0));
  else if (word.name == "brightness")
    adjust_brightness(image, number(0));
  else if (word.name == "saturation")
    adjust_saturation(image, number(0));
  else if (word.name == "blur")
    gaussian_blur(image, number(1));
  else if (word.name == "solarize")
    solarize(image, static_cast<std::uint8_t>(whole(0)));
  else
    FAIL() << "a step this test does not know: " << word.name;
}

TEST_F(AugmentGolden, TheWholeChainAgreesWithinAStep) {
  for (const json& entry : all("chain")) {
    Image changed = picture_;
    for (const Word& word : words_of(entry.at("steps")))
      if (word.name != "to_tensor" && word.name != "normalize") apply(word, changed);
    std::vector<float> values(changed.rgb.size());
    normalize(changed, {}, values.data());
    expect_values(values, entry, kChain);
  }
}

TEST_F(AugmentGolden, TheEvaluationViewAgrees) {
  for (const json& entry : all("eval_transform")) {
    std::vector<int> sides;  // of the resized picture, of the cut
    for (const Word& word : words_of(entry.at("steps")))
      for (const double number : word.numbers) sides.push_back(static_cast<int>(number));
    ASSERT_EQ(sides.size(), 2u) << entry;
    std::vector<float> values(3 * static_cast<std::size_t>(sides[1]) * static_cast<std::size_t>(sides[1]));
    eval_view(picture_, sides[1], values.data(), EvalFit::kCrop, sides[0]);
    expect_values(values, entry, {0.001, 0.001});
  }
}

// Every operation of the file has a test above.
TEST_F(AugmentGolden, NoOperationIsLeftOut) {
  const std::set<std::string> known{"resized_crop", "flip",          "brightness",    "contrast",
                                    "saturation",   "hue",           "grayscale",     "solarize",
                                    "chain",        "gaussian_blur", "eval_transform"};
  for (const json& entry : cases_.at("ops")) EXPECT_TRUE(known.contains(entry.at("op"))) << entry;
}

}  // namespace
}  // namespace paddock::data
