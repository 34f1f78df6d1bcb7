#include "jobs/model/decoded_pictures.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <utility>

#include "base/limits.h"
#include "data/resize.h"
#include "jobs/evaluate/color_map.h"
#include "jobs/parallel_for.h"

namespace paddock::jobs {
namespace {

// Pixels that may lie in memory on the way from a picture to what the network sees: a very long and narrow
// one would take more.
constexpr double kPixelsOnTheWayMax = 4.0 * limits::kImagePixelsMax;

double pixels_on_the_way(const data::Image& picture, const PictureFrame& frame) {
  const double longer = std::max(picture.width, picture.height);
  const double shorter = std::min(picture.width, picture.height);
  if (frame.square.is_padded) return longer * longer;
  const double side =
      frame.is_whole ? frame.square.image_size : frame.square.image_size / frame.square.crop_ratio;
  return side * side * longer / shorter;
}

data::Image whole(const data::Image& picture, int shorter_side) {
  const auto longer = [shorter_side](std::int64_t of, std::int64_t than) {
    return static_cast<int>(shorter_side * of / than);
  };
  return picture.width > picture.height
             ? data::resize(picture, longer(picture.width, picture.height), shorter_side)
             : data::resize(picture, shorter_side, longer(picture.height, picture.width));
}

Result<data::Image> picture_at(const PictureInputs& inputs, std::size_t index, const PictureFrame& frame,
                               const model::VisionTransformer& network) {
  TRY_ASSIGN(const data::Image picture, inputs.read(index, static_cast<int>(network.options().channels)),
             "not used");
  if (pixels_on_the_way(picture, frame) > kPixelsOnTheWayMax)
    return fail(Code::kInvalid, "not used: " + std::to_string(picture.width) + " × " +
                                    std::to_string(picture.height) + " pixels are too long and narrow");
  data::Image image =
      frame.is_whole ? whole(picture, frame.square.image_size) : evaluate::square_of(picture, frame.square);
  try {
    network.grid_of(image.height, image.width);
  } catch (const std::invalid_argument& error) {
    return fail(Code::kInvalid, "not used: " + std::to_string(image.width) + " × " +
                                    std::to_string(image.height) + " pixels: " + error.what() +
                                    "; --sides resize and --sides pad take it");
  }
  return image;
}

// Of inputs [first, first + count) those that can be used; the others are said and counted.
std::vector<NamedPicture> decode(const PictureInputs& inputs, std::size_t first, std::size_t count,
                                 const PictureFrame& frame, const model::VisionTransformer& network,
                                 int threads, std::ostream& err, std::size_t& left_out) {
  std::vector<std::optional<Result<data::Image>>> images(count);
  parallel_for(count, threads,
               [&](std::size_t i) { images[i] = picture_at(inputs, first + i, frame, network); });
  std::vector<NamedPicture> decoded;
  for (std::size_t i = 0; i < count; ++i) {
    Result<data::Image>& image = *images[i];
    if (image) {
      decoded.push_back({inputs.name(first + i), *std::move(image)});
    } else {
      err << inputs.name(first + i) << ": " << image.error().message << '\n';
      ++left_out;
    }
  }
  return decoded;
}

}  // namespace

void require_size_fits(const model::VisionTransformer& network, std::int64_t image_size) {
  try {
    network.grid_of(image_size, image_size);
  } catch (const std::invalid_argument&) {
    const std::int64_t patch = network.options().patch_size, below = image_size / patch * patch;
    throw std::invalid_argument("--size " + std::to_string(image_size) +
                                " is not a multiple of the model's patch of " + std::to_string(patch) +
                                " pixels; the nearest are " +
                                (below > 0 ? std::to_string(below) + " and " : "") +
                                std::to_string(below + patch) + ", and --sides resize or pad takes any");
  }
}

std::size_t for_decoded_pictures(const PictureInputs& inputs, const PictureFrame& frame,
                                 const model::VisionTransformer& network, std::size_t at_once, int threads,
                                 std::ostream& err,
                                 const std::function<void(std::vector<NamedPicture>)>& use) {
  std::size_t left_out = 0;
  for (std::size_t first = 0; first < inputs.size(); first += at_once) {
    const std::size_t count = std::min(at_once, inputs.size() - first);
    auto decoded = decode(inputs, first, count, frame, network, threads, err, left_out);
    if (!decoded.empty()) use(std::move(decoded));
  }
  if (left_out == inputs.size())
    throw std::runtime_error("not one of the " + std::to_string(inputs.size()) + " pictures can be used");
  return left_out;
}

std::vector<NamedPicture> decode_all_pictures(const PictureInputs& inputs, const PictureFrame& frame,
                                              const model::VisionTransformer& network, int threads,
                                              std::ostream& err) {
  std::vector<NamedPicture> all;
  for_decoded_pictures(inputs, frame, network, inputs.size(), threads, err,
                       [&](std::vector<NamedPicture> decoded) { all = std::move(decoded); });
  return all;
}

data::Image map_over(const data::Image& map, const data::Image& picture,
                     const model::VisionTransformer& network) {
  // Padding lies beyond the picture's right and lower edge, and its cells are cut off there.
  if (network.side_policy() != model::SidePolicy::kPad)
    return evaluate::stretched(map, picture.width, picture.height);
  const auto patch = static_cast<int>(network.options().patch_size);
  const data::Image cells = evaluate::stretched(map, map.width * patch, map.height * patch);
  return data::resize(cells, {0, 0, picture.width, picture.height}, picture.width, picture.height);
}

}  // namespace paddock::jobs
