// model/side_policy.h – images of any height and width: what is done with sides that the patch does not
// divide. The official code refuses them; its dense heads pad. Letters: B images, C channels, H W pixels.
// Threads: pure functions.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>

namespace paddock::model {

enum class SidePolicy {
  kRefuse,
  kResize,  // each side to the nearest multiple of the patch, half a patch upwards: bicubic, antialiased
  kPad,     // zeros at right and bottom up to the next multiple: the mean of the pictures, once normalised
};

// "refuse", "resize" or "pad". Throws std::invalid_argument.
SidePolicy side_policy_of(const std::string& word);

// The side that `side` pixels become, a positive multiple of `patch`. kRefuse: throws std::invalid_argument
// where it is none already.
std::int64_t fitted_side(std::int64_t side, std::int64_t patch, SidePolicy policy);

// images_BCHW itself where both sides fit, else another with sides that do. With kPad less than a patch is
// added, so that every patch has pixels of the image in it.
torch::Tensor with_fitted_sides(const torch::Tensor& images_BCHW, std::int64_t patch, SidePolicy policy);

}  // namespace paddock::model
