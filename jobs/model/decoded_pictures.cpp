#include "jobs/model/decoded_pictures.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <stdexcept>

#include "base/limits.h"
#include "jobs/parallel_for.h"

namespace paddock::jobs {
namespace {

// Pixels that may lie in memory on the way from a picture to its square: a very long and narrow one would take more.
constexpr double kPixelsOnTheWayMax = 4.0 * limits::kImagePixelsMax;

double pixels_on_the_way(const data::Image& picture, const evaluate::EvalTransform& transform) {
  const double longer = std::max(picture.width, picture.height);
  const double shorter = std::min(picture.width, picture.height);
  if (transform.is_padded) return longer * longer;
  const double side = transform.image_size / transform.crop_ratio;
  return side * side * longer / shorter;
}

Result<data::Image> square_at(const PictureInputs& inputs, std::size_t index,
                              const evaluate::EvalTransform& transform) {
  TRY_ASSIGN(const data::Image picture, inputs.read(index), "not used");
  if (pixels_on_the_way(picture, transform) > kPixelsOnTheWayMax)
    return fail(Code::kInvalid, "not used: " + std::to_string(picture.width) + " × " +
                                    std::to_string(picture.height) +
                                    " pixels are too long and narrow for a square");
  return evaluate::square_of(picture, transform);
}

}  // namespace

void require_size_fits(const model::VisionTransformerOptions& network, std::int64_t image_size) {
  if (network.channels != 3)
    throw std::invalid_argument("the model takes " + std::to_string(network.channels) +
                                " channels, pictures have 3; `model forward` takes ready tensors");
  const std::int64_t patch = network.patch_size;
  if (image_size % patch == 0) return;
  const std::int64_t below = image_size / patch * patch;
  throw std::invalid_argument(
      "--size " + std::to_string(image_size) + " is not a multiple of the model's patch of " +
      std::to_string(patch) + " pixels; the nearest are " +
      (below > 0 ? std::to_string(below) + " and " : "") + std::to_string(below + patch));
}

std::vector<NamedPicture> decode_squares(const PictureInputs& inputs, std::size_t first, std::size_t count,
                                         const evaluate::EvalTransform& transform, int threads,
                                         std::ostream& err, std::size_t& undecodable) {
  std::vector<std::optional<Result<data::Image>>> squares(count);
  parallel_for(count, threads, [&](std::size_t i) { squares[i] = square_at(inputs, first + i, transform); });
  std::vector<NamedPicture> decoded;
  for (std::size_t i = 0; i < count; ++i) {
    Result<data::Image>& square = *squares[i];
    if (square) {
      decoded.push_back({inputs.name(first + i), *std::move(square)});
    } else {
      err << inputs.name(first + i) << ": " << square.error().message << '\n';
      ++undecodable;
    }
  }
  return decoded;
}

std::vector<NamedPicture> decode_all_squares(const PictureInputs& inputs,
                                             const evaluate::EvalTransform& transform, int threads,
                                             std::ostream& err) {
  std::size_t undecodable = 0;
  std::vector<NamedPicture> decoded =
      decode_squares(inputs, 0, inputs.size(), transform, threads, err, undecodable);
  if (decoded.empty())
    throw std::runtime_error("not one of the " + std::to_string(inputs.size()) + " pictures can be decoded");
  return decoded;
}

}  // namespace paddock::jobs
