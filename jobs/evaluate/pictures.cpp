#include "jobs/evaluate/pictures.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "data/augment.h"
#include "data/decode.h"
#include "data/resize.h"
#include "jobs/parallel_for.h"
#include "jobs/value_or_throw.h"

namespace paddock::evaluate {

data::Image square_of(const data::Image& picture, const EvalTransform& transform) {
  if (transform.is_padded) return data::eval_square(picture, transform.image_size, data::EvalFit::kPad);
  const auto resize_side = static_cast<int>(std::lround(transform.image_size / transform.crop_ratio));
  return data::eval_square(picture, transform.image_size, data::EvalFit::kCrop, resize_side);
}

data::Image random_crop_square(const data::Image& picture, int image_size, std::uint64_t seed,
                               std::uint64_t position) {
  Draws draws(seed, position, Purpose::kCrop);
  const double area = draws.uniform(.2, .5) * picture.width * picture.height;
  const double ratio = std::exp(draws.uniform(std::log(3. / 4), std::log(4. / 3)));
  const int width = std::clamp(static_cast<int>(std::lround(std::sqrt(area * ratio))), 1, picture.width);
  const int height = std::clamp(static_cast<int>(std::lround(std::sqrt(area / ratio))), 1, picture.height);
  const auto left = static_cast<int>(draws.below(static_cast<std::uint64_t>(picture.width - width) + 1));
  const auto top = static_cast<int>(draws.below(static_cast<std::uint64_t>(picture.height - height) + 1));
  return data::resize(picture, {left, top, width, height}, image_size, image_size);
}

PictureSet load_pictures(const storage::SampleSet& samples, const std::vector<std::string>& classes,
                         int channels, const EvalTransform& transform, bool with_crops, std::uint64_t seed,
                         int threads) {
  PADDOCK_REQUIRE(transform.image_size > 0 && transform.crop_ratio > 0);
  std::map<std::string, std::int32_t> index_of;
  for (const std::string& name : classes) index_of.emplace(name, static_cast<std::int32_t>(index_of.size()));
  PictureSet set;
  set.pictures.resize(samples.size());
  if (with_crops) set.crops.resize(samples.size());
  jobs::parallel_for(samples.size(), threads, [&](std::size_t i) {
    storage::SampleAbout about = jobs::value_or_throw(samples.about(i), "reading the dataset");
    const storage::Bytes file = jobs::value_or_throw(samples.read_picture(i), "reading the dataset");
    const data::Image picture =
        jobs::value_or_throw(data::decode_image(file.view(), {}, channels), "decoding " + samples.key(i));
    Picture& out = set.pictures[i];
    const auto label = index_of.find(about.label);
    if (label != index_of.end()) out.label = label->second;
    out.source = std::move(about.source);
    out.square = square_of(picture, transform);
    if (with_crops) set.crops[i] = random_crop_square(picture, transform.image_size, seed, i);
  });
  return set;
}

std::vector<std::uint32_t> labelled(const PictureSet& set) {
  std::vector<std::uint32_t> rows;
  for (std::uint32_t i = 0; i < set.pictures.size(); ++i)
    if (set.pictures[i].label >= 0) rows.push_back(i);
  return rows;
}

}  // namespace paddock::evaluate
