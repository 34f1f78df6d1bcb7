// jobs/model/decoded_pictures.h – pictures as the squares a backbone takes, and what could not be decoded said aloud.
// Threads: one caller; the decoding is shared out.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "data/image.h"
#include "jobs/evaluate/pictures.h"
#include "jobs/model/picture_inputs.h"
#include "model/vision_transformer.h"

namespace paddock::jobs {

struct NamedPicture {
  std::string name;
  data::Image square;
};

// Throws std::invalid_argument when the network cannot take RGB squares of that size, and says which sizes it takes.
void require_size_fits(const model::VisionTransformerOptions& network, std::int64_t image_size);

// Inputs [first, first + count) that decode, in their order. Each of the others is one line on `err` and counted in
// `undecodable`.
std::vector<NamedPicture> decode_squares(const PictureInputs& inputs, std::size_t first, std::size_t count,
                                         const evaluate::EvalTransform& transform, int threads,
                                         std::ostream& err, std::size_t& undecodable);

// As decode_squares of all inputs. Throws std::runtime_error when not one of them decodes.
std::vector<NamedPicture> decode_all_squares(const PictureInputs& inputs,
                                             const evaluate::EvalTransform& transform, int threads,
                                             std::ostream& err);

}  // namespace paddock::jobs
