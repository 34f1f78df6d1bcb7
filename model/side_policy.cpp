#include "model/side_policy.h"

#include <algorithm>
#include <stdexcept>

namespace paddock::model {

SidePolicy side_policy_of(const std::string& word) {
  if (word == "refuse") return SidePolicy::kRefuse;
  if (word == "resize") return SidePolicy::kResize;
  if (word == "pad") return SidePolicy::kPad;
  throw std::invalid_argument("'" + word + "' is no policy for sides, must be refuse, resize or pad");
}

std::int64_t fitted_side(std::int64_t side, std::int64_t patch, SidePolicy policy) {
  if (side > 0 && side % patch == 0) return side;
  if (side < 1 || policy == SidePolicy::kRefuse)
    throw std::invalid_argument("sides of images must be multiples of " + std::to_string(patch) +
                                ", the patch, and " + std::to_string(side) + " is not");
  const std::int64_t added = policy == SidePolicy::kPad ? patch - 1 : patch / 2;
  return std::max(patch, (side + added) / patch * patch);
}

torch::Tensor with_fitted_sides(const torch::Tensor& images_BCHW, std::int64_t patch, SidePolicy policy) {
  const std::int64_t height = images_BCHW.size(2), width = images_BCHW.size(3);
  const std::int64_t rows = fitted_side(height, patch, policy), columns = fitted_side(width, patch, policy);
  if (rows == height && columns == width) return images_BCHW;
  if (policy == SidePolicy::kPad)
    return torch::constant_pad_nd(images_BCHW, {0, columns - width, 0, rows - height}, 0);
  return at::_upsample_bicubic2d_aa(images_BCHW.to(torch::kFloat32), {rows, columns}, false);
}

}  // namespace paddock::model
