#include "jobs/evaluate/pictures.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "base/check.h"
#include "base/random.h"
#include "data/augment.h"
#include "data/decode.h"
#include "data/resize.h"
#include "jobs/parallel_for.h"
#include "jobs/value_or_throw.h"
#include "storage/disk.h"
#include "storage/shard.h"

namespace paddock::evaluate {

namespace {

std::int32_t label_index(const std::string& sample_json, const std::vector<std::string>& classes,
                         std::string& source) {
  const auto about = nlohmann::json::parse(sample_json, nullptr, false);
  if (!about.is_object()) throw std::runtime_error("evaluate: a sample's JSON is damaged");
  source = about.value("source", "");
  const auto label = about.find("label");
  if (label == about.end() || !label->is_string()) return -1;
  const auto at = std::find(classes.begin(), classes.end(), label->get<std::string>());
  return at == classes.end() ? -1 : static_cast<std::int32_t>(at - classes.begin());
}

}  // namespace

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

PictureSet load_pictures(const std::filesystem::path& dir, const std::vector<std::string>& classes,
                         int channels, const EvalTransform& transform, bool with_crops, std::uint64_t seed,
                         int threads) {
  PADDOCK_REQUIRE(transform.image_size > 0 && transform.crop_ratio > 0);
  storage::RealDisk disk;
  const storage::ShardSet shards =
      jobs::value_or_throw(storage::ShardSet::open(disk, dir), "opening the dataset");
  PictureSet set;
  set.pictures.resize(shards.size());
  if (with_crops) set.crops.resize(shards.size());
  jobs::parallel_for(shards.size(), threads, [&](std::size_t i) {
    const storage::Sample sample = jobs::value_or_throw(shards.read(i), "reading the dataset");
    const auto about = sample.members.find("json");
    if (about == sample.members.end())
      throw std::runtime_error("evaluate: sample " + sample.key + " of " + dir.string() + " lacks its JSON");
    const storage::Bytes file = jobs::value_or_throw(shards.read_picture(i), "reading the dataset");
    const data::Image picture =
        jobs::value_or_throw(data::decode_image(file.view(), {}, channels), "decoding " + sample.key);
    Picture& out = set.pictures[i];
    out.label = label_index(std::string(storage::text_of(about->second)), classes, out.source);
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
